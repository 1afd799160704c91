// The search page while it is used: htmx fetches the results, this adds the keyboard and says when they did not come.
// From any page, Ctrl+K leads there.

const form = () => document.querySelector('form[role=search][action="/search"]');
const links = () => [...document.querySelectorAll("#found a.to")];

function goToSearch() {
  const field = form()?.elements.q;
  if (!field) return location.assign("/search");
  field.focus();
  field.select();
}

/** The arrows lead from the field through the results and back. */
function walk(step) {
  const stops = [form().elements.q, ...links()];
  const at = stops.indexOf(document.activeElement);
  if (at < 0) return false;
  stops[Math.max(0, Math.min(at + step, stops.length - 1))].focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  const isShortcut = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k";
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (isShortcut) goToSearch();
  else if (!step || event.isComposing || !form() || !walk(step)) return;
  event.preventDefault();
});

const isOurs = ({ detail }) => detail.elt === form();
const failed = (hasFailed) => (document.getElementById("search-failed").hidden = !hasFailed);

// What is not chosen need not stand in the address.
document.addEventListener("htmx:configRequest", (event) => {
  if (!isOurs(event)) return;
  const { formData } = event.detail;
  for (const [name, value] of [...formData.entries()]) if (value === "") formData.delete(name);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (isOurs(event) && event.detail.xhr.status) failed(!event.detail.successful);
});
document.addEventListener("htmx:sendError", (event) => isOurs(event) && failed(true));
