// Where one writes: grows with the text, keeps a draft for each conversation, knows the models.

import { api, quiet } from "./api.js";
import { grow } from "./markup.js";
import { keep, kept } from "./store.js";

// A model takes a moment to load, also the bundled one.
const LOOK_AGAIN_MS = 2000;
const WAIT = "Wait for the answer, or stop it.";

export class Composer {
  #form;
  #area;
  #select;
  #on;
  #name;
  #isStreaming = false;
  #isClosed = false;
  #lookAgain;

  /** `name` is that of the draft. `on`: send(text), model(name), reachable(boolean). */
  constructor(form, name, on) {
    this.#form = form;
    this.#on = on;
    this.#name = name;
    this.#area = form.elements.content;
    this.#select = form.elements.model;
    this.#area.value = kept(this.#key) ?? this.#area.value;
    this.#area.addEventListener("input", () => this.#changed());
    this.#area.addEventListener("keydown", (event) => this.#pressed(event));
    form.addEventListener("submit", (event) => this.#submit(event));
    this.#select.addEventListener("change", () => on.model(this.model));
    this.#changed();
  }

  get model() {
    return this.#select.value;
  }

  get text() {
    return this.#area.value;
  }

  set text(value) {
    this.#area.value = value;
    this.#changed();
  }

  set isStreaming(value) {
    this.#isStreaming = value;
    this.#buttons();
  }

  focus() {
    // A keyboard that slides over the page uninvited is no welcome.
    if (matchMedia("(hover: hover)").matches) this.#area.focus({ preventScroll: true });
  }

  /** There is nothing to write to any more; what was written can still be copied. */
  close() {
    this.#isClosed = true;
    this.#area.readOnly = true;
    this.#buttons();
  }

  /** The new chat has become a conversation. */
  moveTo(conversationId) {
    keep(this.#key, "");
    this.#name = conversationId;
    this.#changed();
  }

  showModel(name) {
    const value = name ?? "";
    if (![...this.#select.options].some((option) => option.value === value)) this.#select.add(new Option(value || "Default model", value), 0);
    this.#select.value = value;
  }

  async loadModels() {
    const { models } = (await api("GET", "/api/models").catch(quiet)) ?? { models: [] };
    const chosen = this.model;
    const names = new Set(models.map((model) => model.id));
    const first = models.length === 1 && !chosen ? models[0].name : "Default model";
    const options = [new Option(first, ""), ...(models.length === 1 && !chosen ? [] : models.map(({ id, name }) => new Option(name, id)))];
    if (chosen && !names.has(chosen)) options.splice(1, 0, new Option(chosen, chosen));
    this.#select.replaceChildren(...options);
    this.#select.value = chosen;
    this.#on.reachable(models.length > 0);
    clearTimeout(this.#lookAgain);
    if (!models.length && this.#form.isConnected) this.#lookAgain = setTimeout(() => this.loadModels(), LOOK_AGAIN_MS);
  }

  get #key() {
    return `draft:${this.#name}`;
  }

  #changed() {
    grow(this.#area);
    keep(this.#key, this.#area.value);
    this.#hint("");
    this.#buttons();
  }

  #pressed(event) {
    if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
    event.preventDefault();
    if (!event.ctrlKey && !event.metaKey) return this.#form.requestSubmit();
    this.#area.setRangeText("\n", this.#area.selectionStart, this.#area.selectionEnd, "end");
    this.#changed();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#area.value;
    if (this.#isClosed || !text.trim()) return;
    if (this.#isStreaming) return this.#hint(WAIT);
    this.text = "";
    this.#on.send(text);
  }

  #hint(words) {
    this.#form.querySelector(".hint").textContent = words;
  }

  #buttons() {
    const send = this.#form.querySelector(".send");
    const stop = this.#form.querySelector(".stop");
    const hadFocus = document.activeElement === send || document.activeElement === stop;
    send.hidden = this.#isStreaming;
    stop.hidden = !this.#isStreaming;
    send.disabled = this.#isClosed || !this.#area.value.trim();
    if (hadFocus) this.#area.focus();
  }
}
