// Menus are the browser's own popovers; what is left to do is to put them beside their buttons, and the arrow keys.

const ITEMS = "a, button:not([hidden])";

/** Under its button, or over it where there is no room; inside the window in any case. */
function putBeside(menu, button) {
  const place = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = place.bottom + 4;
  const top = below + height < innerHeight ? below : Math.max(8, place.top - height - 4);
  const rightmost = document.documentElement.clientWidth - width - 8;
  menu.style.top = `${top}px`;
  menu.style.left = `${Math.max(8, Math.min(place.left, rightmost))}px`;
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[popovertarget]");
  const menu = button && document.getElementById(button.getAttribute("popovertarget"));
  if (!menu?.classList.contains("menu")) return;
  const opened = ({ newState }) => {
    if (newState !== "open") return;
    putBeside(menu, button);
    menu.querySelector(ITEMS).focus();
  };
  menu.addEventListener("toggle", opened, { once: true });
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu:popover-open");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!menu || !step || event.target.matches("input")) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll(ITEMS)];
  items.at((items.indexOf(document.activeElement) + step) % items.length)?.focus();
});
