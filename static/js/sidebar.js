// The list of conversations: follows what happens to them anywhere, and lets one rename, pin, archive and delete.

import { Unreachable, api, erase } from "./api.js";
import { copyOf } from "./markup.js";
import { notice, sayWhy, unlessUndone } from "./notices.js";
import { Socket } from "./socket.js";
import { forget } from "./store.js";

const sidebar = document.getElementById("sidebar");
const list = document.getElementById("conversations");
const menu = document.getElementById("conversation-menu");
const filter = sidebar.querySelector(".archive-filter");
const UNTITLED = "New Conversation";

let shownId = null;
const leaving = new Set(); // ids under an undo bar

const path = (id) => `/api/chat/conversations/${id}`;
const rowOf = (id) => list.querySelector(`[data-conversation="${Number(id)}"]`);
const isArchiveShown = () => sidebar.dataset.archived === "true";

// --- The list

/** The list as the server has it now. */
function reload() {
  const query = new URLSearchParams({ archived: isArchiveShown(), current: shownId ?? "" });
  return window.htmx.ajax("GET", `/conversations?${query}`, { target: "#conversations", swap: "innerHTML" });
}

function mark() {
  for (const link of list.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
  rowOf(shownId)?.querySelector(".title")?.setAttribute("aria-current", "page");
}

function describe(row, conversation) {
  Object.assign(row.dataset, { conversation: conversation.id, pinned: conversation.pinned, archived: conversation.archived, memory: conversation.memory, updatedAt: conversation.updated_at });
  const link = row.querySelector(".title");
  row.querySelector(".icon")?.setAttribute("aria-label", `More about “${conversation.title}”`);
  if (!link) return;
  link.textContent = link.title = conversation.title;
  link.href = `/c/${conversation.id}`;
}

function add(conversation) {
  if (conversation.temporary || isArchiveShown() !== conversation.archived || leaving.has(conversation.id)) return;
  const row = copyOf(document.getElementById("conversation-row"));
  describe(row, conversation);
  list.querySelector(".nothing")?.remove();
  toTop(row);
  window.htmx.process(row);
  mark();
}

/** First on its shelf: a pinned one's, or today's. */
function toTop(row) {
  const key = row.dataset.pinned === "true" ? "pinned" : "today";
  shelf(key).after(row);
}

function shelf(key) {
  const known = list.querySelector(`[data-shelf="${key}"]`);
  if (known) return known;
  const label = copyOf(document.getElementById("shelf-row"));
  const pinned = [...list.querySelectorAll('[data-pinned="true"]')].at(-1);
  if (pinned) pinned.after(label);
  else list.prepend(label);
  return label;
}

const handlers = {
  "conversation.created": ({ conversation }) => rowOf(conversation.id) ?? add(conversation),
  "conversation.updated": ({ conversation }) => update(conversation),
  "conversation.deleted": ({ conversation_id: id }) => drop(rowOf(id)),
};

function drop(row) {
  row?.remove();
  if (!list.querySelector("[data-conversation]")) reload();
}

function update(conversation) {
  if (conversation.temporary) return;
  const row = rowOf(conversation.id);
  if (!row) return conversation.archived === isArchiveShown() && !leaving.has(conversation.id) ? comeBack(conversation) : undefined;
  if (conversation.archived !== isArchiveShown()) return drop(row);
  const hasMoved = String(conversation.pinned) !== row.dataset.pinned;
  const isActive = conversation.updated_at > row.dataset.updatedAt;
  describe(row, conversation);
  if (hasMoved) reload();
  else if (isActive) toTop(row);
}

/** One that the list does not show yet, further down or from the archive. */
function comeBack(conversation) {
  const newest = list.querySelector('[data-conversation]:not([data-pinned="true"])')?.dataset.updatedAt ?? "";
  if (!conversation.pinned && conversation.updated_at > newest) add(conversation);
  else reload();
}

// --- Actions

async function change(id, fields) {
  handlers["conversation.updated"]({ conversation: await api("PATCH", path(id), fields) });
}

/** The title becomes a field, in the row or in the bar above the conversation. */
function rename(place, id) {
  const title = place.querySelector(".title");
  if (!title) return;
  const form = copyOf(document.getElementById("title-form"));
  const input = form.elements.title;
  input.value = title.textContent;
  let isOpen = true; // taking the field away makes it lose the focus, which would save again
  const close = () => {
    isOpen = false;
    const hadFocus = form.contains(document.activeElement);
    form.replaceWith(title);
    if (hadFocus) (title.href ? title : place.querySelector("[aria-haspopup]"))?.focus();
  };
  const save = () => {
    if (!isOpen) return;
    const text = input.value.trim();
    const before = title.textContent;
    if (text && text !== before) {
      title.textContent = text;
      change(id, { title: text }).catch((error) => {
        title.textContent = before;
        sayWhy(error);
      });
    }
    close();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.preventDefault();
    close();
  });
  input.addEventListener("blur", save);
  title.replaceWith(form);
  input.focus();
  input.select();
}

async function archive(id, isArchived) {
  await change(id, { archived: isArchived });
  const words = isArchived ? "Moved to the archive." : "Moved out of the archive.";
  if (await notice(words, { action: "Undo" })) await change(id, { archived: !isArchived });
}

/** Nothing is sent while there is time to undo. */
async function remove(id, title) {
  const row = rowOf(id);
  const wasShown = shownId === id;
  leaving.add(id);
  if (row) row.hidden = true;
  if (wasShown) visit("/");
  let undone = false;
  try {
    undone = await unlessUndone(`“${title || UNTITLED}” will be deleted.`, () => erase(path(id)));
  } catch (error) {
    if (rowOf(id)) rowOf(id).hidden = false;
    throw error;
  } finally {
    leaving.delete(id);
  }
  if (!undone) return drop(rowOf(id));
  if (wasShown) visit(`/c/${id}`);
  return reload();
}

function visit(address) {
  const link = Object.assign(document.createElement("a"), { href: address, hidden: true });
  sidebar.querySelector("nav").append(link);
  window.htmx.process(link);
  link.click();
  link.remove();
}

const actions = {
  rename,
  pin: (place, id) => change(id, { pinned: true }),
  unpin: (place, id) => change(id, { pinned: false }),
  archive: (place, id) => archive(id, true),
  unarchive: (place, id) => archive(id, false),
  "memory-off": (place, id) => change(id, { memory: false }),
  "memory-on": (place, id) => change(id, { memory: true }),
  delete: (place, id) => remove(id, place.querySelector(".title")?.textContent),
};

// --- The menu of a conversation

let subject = null; // the row or bar whose menu is open

document.addEventListener("click", ({ target }) => {
  const place = target.closest('[data-action="end"]') && document.querySelector(".topbar");
  if (place) remove(Number(place.dataset.conversation), place.querySelector(".title")?.textContent).catch(sayWhy);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[popovertarget=conversation-menu]");
  if (!button) return;
  subject = button.closest("[data-conversation]");
  const is = (name) => subject.dataset[name] === "true";
  const isKept = !is("temporary");
  const hidden = {
    pin: is("pinned") || !isKept, unpin: !is("pinned"), archive: is("archived") || !isKept, unarchive: !is("archived"),
    "memory-off": !is("memory") || !isKept, "memory-on": is("memory") || !isKept,
  };
  for (const item of menu.querySelectorAll("[data-action]")) item.hidden = hidden[item.dataset.action] ?? false;
});

menu.addEventListener("click", (event) => {
  const name = event.target.closest("[data-action]")?.dataset.action;
  if (!name) return;
  const place = subject;
  menu.hidePopover();
  Promise.resolve(actions[name](place, Number(place.dataset.conversation))).catch(sayWhy);
});

// --- The page around it

filter.addEventListener("click", () => {
  sidebar.dataset.archived = String(!isArchiveShown());
  filter.setAttribute("aria-pressed", sidebar.dataset.archived);
  reload();
});

document.addEventListener("conversation:shown", ({ detail }) => {
  shownId = detail.id;
  mark();
});

document.querySelector("#account-menu form").addEventListener("submit", forget);

document.addEventListener("conversation:changed", ({ detail }) => update(detail));

sidebar.addEventListener("click", (event) => {
  if (event.target.closest("a") && sidebar.matches(":popover-open")) sidebar.hidePopover();
});

document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.boosted) location.assign(detail.pathInfo.requestPath);
});
document.addEventListener("htmx:sendError", ({ target }) => target.role !== "search" && sayWhy(new Unreachable("Nebulus Gantry cannot be reached.")));
list.addEventListener("htmx:afterSettle", () => {
  mark();
  for (const id of leaving) if (rowOf(id)) rowOf(id).hidden = true;
});

let hasBeenOpen = false;
new Socket("/ws/me/", {
  frame: (frame) => handlers[frame.type]?.(frame),
  open: () => {
    if (hasBeenOpen) reload();
    hasBeenOpen = true;
  },
  denied: () => location.reload(),
});
