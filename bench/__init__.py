"""The numbers we publish, as commands: each prints JSON, starts all it needs and ends it again. See README.md."""
