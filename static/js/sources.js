// What a reply was told from memory: fetched when its line is opened, and each time anew, since memories are forgotten.

import { part } from "./api.js";
import { sayWhy } from "./notices.js";
import { wordTimes } from "./time.js";

async function fill(details) {
  const { id } = details.closest("[data-id]:not(.message)").dataset;
  const nodes = await part(`/c/${id}/messages/${details.closest(".message").dataset.id}/sources`);
  const place = details.querySelector(".told");
  place.replaceChildren(nodes);
  wordTimes(place);
}

document.addEventListener("toggle", ({ target }) => {
  if (!target.matches("details.sources") || !target.open) return;
  fill(target).catch((error) => {
    target.open = false;
    sayWhy(error);
  });
}, { capture: true });
