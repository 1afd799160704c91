// What was done, said at the edge of the page for a while, with a way back where there is one.

import { Unreachable } from "./api.js";

const SHOWN_FOR = 6_000;
export const UNDO_FOR = 10_000;

/** Shows a notice. Resolves to true when its button was pressed, to false when its time ran out. */
export function notice(text, { action = "", milliseconds = SHOWN_FOR } = {}) {
  const element = document.getElementById("notice").content.cloneNode(true).firstElementChild;
  const button = element.querySelector("button");
  element.querySelector("p").textContent = text;
  button.textContent = action;
  button.hidden = action === "";
  element.querySelector(".countdown").hidden = action === "";
  element.style.setProperty("--seconds", `${milliseconds / 1000}s`);
  document.getElementById("notices").append(element);
  return new Promise((resolve) => {
    const end = (pressed) => {
      clearTimeout(timer);
      element.remove();
      resolve(pressed);
    };
    const timer = setTimeout(() => end(false), milliseconds);
    button.addEventListener("click", () => end(true));
  });
}

/** Says why something that was asked for did not happen. */
export function sayWhy(error) {
  return notice(error instanceof Unreachable ? `${error.message} Nothing was changed; try again in a moment.` : error.message);
}
