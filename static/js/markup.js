// Small things about elements that several modules need.

/** The first element of a template's copy. */
export function copyOf(template) {
  return template.content.cloneNode(true).firstElementChild;
}

/** Text to the clipboard; the older way works on plain http, where the newer one does not exist. */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text, className: "visually-hidden" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A tick on a copy button, for a moment. */
export function tick(button) {
  button.classList.add("is-done");
  setTimeout(() => button.classList.remove("is-done"), 1_500);
}

/** A textarea as tall as its text, where the browser does not do that by itself. */
export function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}
