// One message on the page. The markup is the server's (`_message.html`), also for new ones; text of people and models is
// only ever set as text, and HTML comes only from the server. However a message came here (loaded whole, or written before
// the reader's eyes), its markup is the same in the end.

import { fragment } from "./api.js";
import { copyOf } from "./markup.js";
import { wordTimes } from "./time.js";

const FINAL = new Set(["complete", "stopped", "failed", "interrupted"]);
const LONG = 24;

const views = new WeakMap();

export class MessageView {
  #source;
  #blocks = null; // while it is written: the nodes of each block, and the HTML that they were made of

  /** The view of an article that is on the page. */
  static of(article) {
    return views.get(article) ?? new MessageView(article);
  }

  /** A new message from its JSON. */
  static from(json, templates) {
    const view = new MessageView(copyOf(templates[json.role]));
    view.update(json);
    if (json.role === "user") view.element.querySelector(".text").textContent = json.content;
    return view;
  }

  /** A message that is on its way to the server. */
  static unsent(content, clientId, templates) {
    const view = new MessageView(copyOf(templates.user));
    view.element.dataset.clientId = clientId;
    view.element.querySelector(".text").textContent = content;
    view.#source = content;
    view.sending();
    return view;
  }

  constructor(element) {
    this.element = element;
    views.set(element, this);
    const script = element.querySelector("script");
    this.#source = JSON.parse(script.textContent);
    script.remove();
    this.decorate();
  }

  get id() {
    return Number(this.element.dataset.id) || null;
  }

  get role() {
    return this.element.dataset.role;
  }

  get status() {
    return this.element.dataset.status;
  }

  get clientId() {
    return this.element.dataset.clientId;
  }

  get isFinal() {
    return FINAL.has(this.status);
  }

  get siblings() {
    return this.element.dataset.siblings.split(" ").filter(Boolean).map(Number);
  }

  /** The text as it was written. */
  get source() {
    return this.#source;
  }

  set source(text) {
    this.#source = text;
  }

  // --- On its way

  /** It waits for the line to come back, and not for a person. */
  get isWaiting() {
    return "isWaiting" in this.element.dataset;
  }

  sending() {
    this.#unsent("Sending…", false);
  }

  notSent(why, isWaiting = false) {
    this.#unsent(`Not sent: ${why}`, true);
    if (isWaiting) this.element.dataset.isWaiting = "";
  }

  #unsent(words, failed) {
    const line = this.element.querySelector(".unsent");
    delete this.element.dataset.isWaiting;
    this.element.classList.add("is-pending");
    line.hidden = false;
    line.classList.toggle("is-failed", failed);
    line.querySelector("span").textContent = words;
  }

  // --- As the server has it

  /** Everything about it except what it says in HTML. */
  update(json) {
    const { element } = this;
    element.id = `message-${json.id}`;
    element.classList.remove("is-pending");
    Object.assign(element.dataset, {
      id: json.id, status: json.status, parent: json.parent_id ?? "", clientId: json.client_id ?? "", siblings: json.siblings.join(" "),
    });
    this.#source = json.content;
    this.#about(json);
    this.#bound();
    if (json.role === "user") element.querySelector(".unsent").hidden = true;
  }

  #about(json) {
    const { element } = this;
    const time = element.querySelector(".about time");
    time.dateTime = json.created_at;
    wordTimes(element);
    element.querySelector(".branches").hidden = json.siblings.length < 2;
    element.querySelector(".place").textContent = `${json.siblings.indexOf(json.id) + 1}/${json.siblings.length}`;
    if (json.role === "assistant") this.begun(json);
  }

  /** Which model is asked, what it was told from memory, and what it was not told. */
  begun({ model, sources, degraded }) {
    const told = this.element.querySelector(".sources");
    told.hidden = sources.length === 0;
    told.querySelector(".count").textContent = `${sources.length} ${sources.length === 1 ? "memory" : "memories"}`;
    this.element.querySelector(".model").textContent = model ?? "";
    for (const line of this.element.querySelectorAll("[data-degraded]")) line.hidden = !degraded.includes(line.dataset.degraded);
  }

  // --- As it is written

  /** Whether it is shown block by block already, and not as it was when the page was made. */
  get isInBlocks() {
    return this.#blocks !== null;
  }

  /** All the blocks there are so far. */
  showBlocks(blocks) {
    this.#blocks = [];
    this.#prose.replaceChildren();
    this.#mark();
    blocks.forEach((block) => this.showBlock(block));
  }

  /** A block that is new or has changed; one that is gone has no HTML. It leaves no mark of its own on the page. */
  showBlock({ block: index, html }) {
    const old = this.#blocks[index]?.nodes ?? [];
    const made = fragment(html);
    this.#dress(made);
    const nodes = [...made.childNodes];
    const scrolled = firstCode(old)?.scrollLeft ?? 0;
    this.#prose.insertBefore(made, this.#blocks.slice(index + 1).find((block) => block?.nodes.length)?.nodes[0] ?? null);
    old.forEach((node) => node.remove());
    this.#blocks[index] = { nodes, html };
    if (scrolled) firstCode(nodes)?.scrollTo({ left: scrolled, behavior: "instant" });
    this.#mark();
  }

  /** Its end, in good order or not. What is on the page already stays untouched. */
  finish(json, html) {
    this.update(json);
    this.element.classList.remove("is-slow");
    if (this.#blocks?.map((block) => block.html).join("") === html) return;
    this.#blocks = null;
    this.#prose.replaceChildren(fragment(html));
    this.decorate();
  }

  get #prose() {
    return this.element.querySelector(".prose");
  }

  /** What the server does not send: buttons on code, the fold of a long question, times in the reader's words. */
  decorate() {
    this.#dress(this.element);
    this.#mark();
    this.#bound();
    wordTimes(this.element);
  }

  #dress(root) {
    const button = this.element.closest("gantry-conversation")?.querySelector("template[data-copy-code]");
    for (const figure of button ? root.querySelectorAll("figure.code:not(:has(> .copy))") : []) figure.append(copyOf(button));
  }

  #mark() {
    this.element.classList.toggle("has-text", Boolean(this.#prose?.childElementCount));
  }

  /** There is nothing before the first version and nothing after the last. */
  #bound() {
    const { siblings } = this;
    this.element.querySelector('[data-action="previous"]').disabled = siblings[0] === this.id;
    this.element.querySelector('[data-action="next"]').disabled = siblings.at(-1) === this.id;
  }

  /** The keyboard stays where it was pressed, or goes to the other arrow at either end. */
  focusBranches(step) {
    const pressed = this.element.querySelector(`[data-action="${step < 0 ? "previous" : "next"}"]`);
    (pressed.disabled ? this.element.querySelector(".branches button:enabled") : pressed)?.focus({ preventScroll: true });
  }

  isSlow() {
    this.element.classList.add("is-slow");
  }

  /** A very long question shows its beginning. */
  fold() {
    const text = this.element.querySelector(".text");
    if (!text || text.classList.contains("is-measured")) return;
    text.classList.add("is-measured");
    const isLong = text.scrollHeight > LONG * parseFloat(getComputedStyle(text).lineHeight);
    text.classList.toggle("is-folded", isLong);
    this.element.querySelector(".unfold").hidden = !isLong;
  }

  unfold() {
    const button = this.element.querySelector(".unfold");
    const folded = this.element.querySelector(".text").classList.toggle("is-folded");
    button.setAttribute("aria-expanded", String(!folded));
    button.textContent = folded ? "Show all of it" : "Show less";
  }
}

function firstCode(nodes) {
  return nodes.map((node) => node.querySelector?.("pre")).find(Boolean);
}
