// Messages that the server has not acknowledged. They outlive a reload of the tab.

import { keep, kept } from "./store.js";

export class Outbox {
  #key;
  #items;

  constructor(name) {
    this.#key = keyOf(name);
    this.#items = JSON.parse(kept(this.#key) ?? "[]");
  }

  /** [{clientId, content, model}] in the order of sending. */
  all() {
    return [...this.#items];
  }

  find(clientId) {
    return this.#items.find((item) => item.clientId === clientId);
  }

  add(item) {
    this.#items.push(item);
    this.#keep();
  }

  remove(clientId) {
    if (!this.find(clientId)) return;
    this.#items = this.#items.filter((item) => item.clientId !== clientId);
    this.#keep();
  }

  /** The new chat has become a conversation. */
  moveTo(conversationId) {
    keep(this.#key, "");
    this.#key = keyOf(conversationId);
    this.#keep();
  }

  #keep() {
    keep(this.#key, this.#items.length ? JSON.stringify(this.#items) : "");
  }
}

const keyOf = (name) => `outbox:${name}`;
