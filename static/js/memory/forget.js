// Forgetting one memory: it leaves the list at once, and the server is asked when the time to undo has run out, or the
// page is left. Then what the page counts is counted anew.

import { erase, part, quiet } from "../api.js";
import { sayWhy, unlessUndone } from "../notices.js";
import { wordTimes } from "../time.js";

const BEGINNING = 60; // characters of a memory that tell it from others
const leaving = new Set(); // ids under an undo bar
let recounts = 0;

const rowsShown = () => [...document.querySelectorAll("#memories [data-memory]")];
const rowOf = (id) => document.getElementById(`memory-${id}`);

/** Where the keyboard goes on when a row is gone from under it. */
function goOn(row) {
  const rows = rowsShown();
  const beside = [...rows.slice(rows.indexOf(row) + 1), ...rows.slice(0, rows.indexOf(row)).reverse()];
  (beside.find((each) => !each.hidden)?.querySelector("button") ?? document.getElementById("main")).focus();
}

async function forget(row) {
  const id = row.dataset.memory;
  if (leaving.has(id)) return;
  leaving.add(id);
  goOn(row);
  row.hidden = true;
  let undone = false;
  try {
    undone = await unlessUndone(`“${beginning(row)}” will be forgotten.`, () => ask(id));
  } finally {
    leaving.delete(id);
    comeBack(rowOf(id), undone);
  }
}

function beginning(row) {
  const text = row.querySelector(".said").textContent;
  return text.length > BEGINNING ? `${text.slice(0, BEGINNING).trimEnd()}…` : text;
}

async function ask(id) {
  await erase(`/api/memory/${id}`);
  rowOf(id)?.remove();
  await recount().catch(quiet);
}

/** Say how many there are as the page would say it now; what it would not say any more goes. */
async function recount() {
  const mine = ++recounts;
  const now = await part(location.pathname + location.search);
  if (mine !== recounts) return; // a later one knows more
  for (const count of document.querySelectorAll("[data-count]")) {
    const fresh = now.getElementById(count.id);
    if (fresh) count.textContent = fresh.textContent;
    else (count.closest("section") ?? count).remove();
  }
  if (!rowsShown().length) showFound(now.getElementById("found"));
}

function showFound(fresh) {
  document.getElementById("found").replaceWith(fresh);
  window.htmx.process(fresh);
  settle(fresh);
}

function comeBack(row, isWanted) {
  if (!row) return;
  row.hidden = false;
  if (isWanted) row.querySelector("button").focus();
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.forget")) return;
  event.preventDefault();
  forget(event.target.closest("[data-memory]")).catch(sayWhy);
});

/** What was fetched meanwhile still has the rows that are on their way out. */
function settle(fetched) {
  wordTimes(fetched);
  for (const id of leaving) if (rowOf(id)) rowOf(id).hidden = true;
}

document.addEventListener("htmx:afterSettle", ({ target }) => settle(target));

wordTimes();
