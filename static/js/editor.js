// A question edited in its place.

import { grow } from "./markup.js";

/** Puts the form where the question's text is. `send` resolves when the server has taken the new text. */
export function edit(view, form, send) {
  if (view.element.querySelector(".editor")) return;
  const area = form.elements.content;
  const problem = form.querySelector(".problem");
  area.value = view.source;
  const close = () => {
    form.remove();
    view.element.querySelector('[data-action="edit"]')?.focus();
  };
  area.addEventListener("input", () => grow(area));
  area.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") close();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.querySelector('[data-action="cancel-edit"]').addEventListener("click", close);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!area.value.trim()) return;
    setBusy(form, true);
    problem.hidden = true;
    try {
      await send(area.value);
      form.remove();
    } catch (error) {
      problem.textContent = `Not sent: ${error.message}`;
      problem.hidden = false;
      setBusy(form, false);
    }
  });
  view.element.querySelector(".text").after(form);
  grow(area);
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
}

function setBusy(form, isBusy) {
  for (const element of form.elements) element.disabled = isBusy;
}
