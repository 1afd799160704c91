// The messages on the page, in the order of their ids, with what is not sent yet at the end.

import { part } from "./api.js";
import { MessageView } from "./message.js";

export class Thread {
  #element;
  #templates;
  #arrived;

  /** `arrived(clientId)` is called for every message that turns out to be stored. */
  constructor(element, templates, arrived) {
    this.#element = element;
    this.#templates = templates;
    this.#arrived = arrived;
  }

  get views() {
    return [...this.#element.querySelectorAll(":scope > .message")].map((article) => MessageView.of(article));
  }

  view(id) {
    const article = this.#element.querySelector(`:scope > #message-${Number(id)}`);
    return article && MessageView.of(article);
  }

  /** The reply being written. */
  get streaming() {
    return this.views.find((view) => view.status === "streaming");
  }

  unsent(clientId) {
    return this.views.find((view) => view.clientId === clientId && view.id === null);
  }

  addUnsent({ clientId, content }) {
    const view = MessageView.unsent(content, clientId, this.#templates);
    this.#element.append(view.element);
    return view;
  }

  /** Shows a message that was made just now. False when the page does not show what it stands below. */
  add(message) {
    this.#isStored(message.client_id);
    const known = this.view(message.id);
    if (known) known.update(message);
    else if (message.parent_id !== null && !this.view(message.parent_id)) return false;
    else this.#addBelow(message);
    return true;
  }

  /** What stood below the parent before belongs to another branch. */
  #addBelow(message) {
    for (const view of this.views) if (view.id !== null && view.id > (message.parent_id ?? 0)) view.element.remove();
    if (message.parent_id === null) this.earlier?.remove();
    this.#place(MessageView.from(message, this.#templates));
  }

  #place(view) {
    const next = this.views.find((other) => other.id === null || other.id > view.id);
    this.#element.insertBefore(view.element, next?.element ?? null);
  }

  #isStored(clientId) {
    if (!clientId) return;
    this.unsent(clientId)?.element.remove();
    this.#arrived(clientId);
  }

  // --- As the server has it

  /** Makes the page agree with the newest messages as the server has them; what is true already stays untouched.
   * `isAhead`: the channel is live, so what is being written is newer here than there. */
  async reconcile(path, isAhead) {
    const before = new Set(this.views); // what comes in meanwhile is newer than what is fetched
    const nodes = await part(path);
    const fresh = [...nodes.querySelectorAll(".message")];
    const ids = new Set(fresh.map((article) => article.id));
    const first = Number(fresh[0]?.dataset.id ?? 0);
    const isConnected = this.view(first) !== null; // then what stands above it is above it there, too
    for (const view of before) {
      const isAbove = isConnected && view.id < first;
      if (view.id !== null && !isAbove && !ids.has(view.element.id)) view.element.remove();
    }
    if (!isConnected) this.#replaceEarlier(nodes.querySelector(".earlier"));
    fresh.forEach((article) => this.#adopt(article, isAhead));
  }

  async reconcileOne(path, isAhead) {
    this.#adopt((await part(path)).querySelector(".message"), isAhead);
  }

  #adopt(article, isAhead) {
    this.#isStored(article.dataset.clientId);
    const known = this.view(article.dataset.id);
    if (known && isUpToDate(known, article, isAhead)) return;
    if (known) known.element.replaceWith(article);
    const view = MessageView.of(article);
    if (!known) this.#place(view);
    view.decorate();
  }

  // --- Earlier messages

  get earlier() {
    return this.#element.querySelector(":scope > .earlier");
  }

  #replaceEarlier(element) {
    this.earlier?.remove();
    if (element) this.#element.prepend(element);
  }

  /** Fetches the messages above; `keeping(element, change)` changes the page without moving what is read. */
  async loadEarlier(keeping) {
    const { earlier } = this;
    if (!earlier || earlier.classList.contains("is-loading")) return;
    earlier.classList.add("is-loading");
    try {
      const nodes = await part(earlier.dataset.href);
      if (earlier.isConnected) keeping(this.views[0].element, () => earlier.replaceWith(nodes));
    } finally {
      earlier.classList.remove("is-loading");
    }
  }
}

function isUpToDate(known, article, isAhead) {
  if (known.isFinal) return known.element.dataset.siblings === article.dataset.siblings;
  if (article.dataset.status !== "streaming") return false;
  return isAhead || known.source === MessageView.of(article).source;
}
