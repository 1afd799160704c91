// Messages that the server has not acknowledged. They outlive a reload of the tab.

export class Outbox {
  #key;

  constructor(conversationId) {
    this.#key = keyOf(conversationId);
  }

  /** [{clientId, content, model}] in the order of sending. */
  all() {
    return JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
  }

  add(item) {
    this.#store([...this.all(), item]);
  }

  remove(clientId) {
    this.#store(this.all().filter((item) => item.clientId !== clientId));
  }

  find(clientId) {
    return this.all().find((item) => item.clientId === clientId);
  }

  /** The new chat has become a conversation. */
  moveTo(conversationId) {
    const items = this.all();
    this.#store([]);
    this.#key = keyOf(conversationId);
    this.#store(items);
  }

  #store(items) {
    if (items.length) sessionStorage.setItem(this.#key, JSON.stringify(items));
    else sessionStorage.removeItem(this.#key);
  }
}

const keyOf = (conversationId) => `outbox:${conversationId ?? "new"}`;
