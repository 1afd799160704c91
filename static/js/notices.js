// What was done, said at the edge of the page for a while, with a way back where there is one.

import { Unreachable, quiet } from "./api.js";

const SHOWN_FOR = 6_000;
const UNDO_FOR = 10_000;
const waiting = new Set(); // what will be sent when the time to undo has run out

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

/** Says what will happen, and sends it unless it is undone while there is time; a page that is left sends at once, by a
 * request that outlives it. Resolves to whether it was undone, throws what `send` throws. */
export async function unlessUndone(text, send) {
  waiting.add(send);
  const undone = await notice(text, { action: "Undo", milliseconds: UNDO_FOR });
  if (!waiting.delete(send)) return false;
  if (!undone) await send();
  return undone;
}

// The first comes before the next page is asked for, but not wherever an app is closed by a finger.
for (const leaving of ["beforeunload", "pagehide"]) {
  addEventListener(leaving, () => {
    for (const send of waiting) send().catch(quiet);
    waiting.clear();
  });
}

/** Says why something that was asked for did not happen. */
export function sayWhy(error) {
  return notice(error instanceof Unreachable ? `${error.message} Nothing was changed; try again in a moment.` : error.message);
}
