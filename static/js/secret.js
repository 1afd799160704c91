// The button beside a secret that is shown once copies it.

import { copyText, tick } from "./markup.js";

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("button[data-copies]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copies);
  field.select();
  await copyText(field.value);
  tick(button);
});
