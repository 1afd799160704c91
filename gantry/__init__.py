"""The composition of Nebulus Gantry: settings, routes and the ASGI application. Nothing imports it."""
