// One conversation on the page: what is said comes from the server, over the channel while it is written and as parts of
// pages otherwise. The server's rows are the truth; whatever was missed is healed by looking at them again.

import { Unreachable, api, newClientId, quiet, request } from "./api.js";
import { Channel } from "./channel.js";
import { Composer } from "./composer.js";
import { edit } from "./editor.js";
import { Follow } from "./follow.js";
import { copyOf, copyText, tick } from "./markup.js";
import { MessageView } from "./message.js";
import { sayWhy } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Reply } from "./reply.js";
import { Thread } from "./thread.js";

const APP = "Nebulus Gantry";
const POLL_EVERY = 600;
const SLOW_AFTER = 8_000;
const READY_WITHIN = 2_000;
const ANNOUNCED = 400;

const CONNECTION = {
  live: "",
  lost: "Connection lost. Trying again…",
  stream: "Websockets do not get through here, so answers arrive in steps.",
  gone: "This conversation is gone: it was deleted.",
};
const OFFLINE = "You are offline. What you write is kept here.";

class ConversationElement extends HTMLElement {
  #thread;
  #composer;
  #follow;
  #outbox;
  #channel = null;
  #state = "live";
  #reply = null;
  #known = null; // the conversation as it was last told
  #making = null;
  #ready = null;
  #lastLook = Promise.resolve();
  #nextLook = null;
  #poll = 0;
  #slow = 0;

  connectedCallback() {
    const templates = [...this.querySelectorAll("template[data-message]")].map((each) => [each.dataset.message, each]);
    const thread = this.querySelector(".thread");
    this.#thread = new Thread(thread, Object.fromEntries(templates), (clientId) => this.#arrived(clientId));
    // What is written for a temporary chat must not turn up in another new one.
    const name = this.conversationId ?? (this.#isTemporary ? "temporary" : "new");
    this.#outbox = new Outbox(name);
    this.#composer = new Composer(this.querySelector(".composer"), name, {
      send: (text) => this.#send(text),
      model: (name) => this.#remember(name),
      reachable: (isReachable) => (this.querySelector(".no-model").hidden = isReachable),
    });
    this.addEventListener("click", this.#clicked);
    addEventListener("online", this.#showConnection);
    addEventListener("offline", this.#showConnection);
    this.#showOutbox();
    this.#settle();
    const target = thread.querySelector(":scope > .message:target");
    this.#follow = new Follow(thread, this.querySelector(".dock"), this.querySelector(".below"), target);
    this.#awaitEarlier();
    if (this.conversationId) this.#open();
    this.#composer.loadModels();
    if (!target) this.#composer.focus();
    this.#say("conversation:shown", { id: this.conversationId });
  }

  disconnectedCallback() {
    this.#channel?.close();
    this.#follow.stop();
    clearInterval(this.#poll);
    clearTimeout(this.#slow);
    removeEventListener("online", this.#showConnection);
    removeEventListener("offline", this.#showConnection);
  }

  get conversationId() {
    return Number(this.dataset.id) || null;
  }

  get #isTemporary() {
    return "temporary" in this.dataset;
  }

  get #path() {
    return `/api/chat/conversations/${this.conversationId}`;
  }

  // --- What follows from which messages there are and how they stand

  #settle() {
    const { views } = this.#thread;
    const isStreaming = views.some((view) => view.status === "streaming");
    this.classList.toggle("is-new", views.length === 0 && !this.conversationId);
    this.querySelector(".welcome").hidden = views.length > 0;
    this.#composer.isStreaming = isStreaming;
    views.forEach((view) => view.fold());
    clearTimeout(this.#slow);
    clearInterval(this.#poll);
    if (!isStreaming) return;
    this.#slow = setTimeout(() => this.#thread.streaming?.isSlow(), SLOW_AFTER);
    if (this.#state !== "live") this.#poll = setInterval(() => this.#lookAtReply().catch(quiet), POLL_EVERY);
  }

  #announce(words) {
    this.querySelector(".announcer").textContent = words;
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
  }

  /** The conversation's own title, model and place in the sidebar's order. */
  #describe(conversation) {
    this.#known = conversation;
    this.dataset.updatedAt = conversation.updated_at;
    const topbar = this.querySelector(".topbar");
    const { pinned, archived, memory, temporary } = conversation;
    Object.assign(topbar.dataset, { conversation: conversation.id, pinned, archived, memory, temporary });
    if (temporary) this.querySelector('[data-action="end"]').hidden = false;
    const title = topbar.querySelector(".title");
    if (title) title.textContent = conversation.title;
    topbar.querySelector("[popovertarget=conversation-menu]").hidden = false;
    document.title = `${conversation.title} · ${APP}`;
    this.#composer.showModel(conversation.model);
  }

  // --- The channel

  #open() {
    this.#channel = new Channel(this.conversationId, {
      frame: (frame) => this.#handlers[frame.type]?.(frame),
      state: (state) => this.#changeState(state),
      changed: () => this.#lookAtAll().catch(quiet),
    });
  }

  #changeState(state) {
    const isBack = state === "stream" && state !== this.#state;
    this.#state = state;
    this.#showConnection();
    if (state === "gone") this.#composer.close();
    if (isBack) this.#look().then(() => this.#sendAgain());
    this.#settle();
  }

  #showConnection = () => {
    const line = this.querySelector(".connection");
    const words = navigator.onLine || this.#state === "live" ? CONNECTION[this.#state] : OFFLINE;
    line.hidden = words === "";
    if (line.textContent !== words) line.textContent = words;
  };

  #handlers = {
    "conversation.snapshot": (frame) => this.#snapshot(frame).catch(quiet),
    "conversation.updated": ({ conversation }) => this.#updated(conversation),
    "message.created": ({ message }) => this.#created(message),
    "turn.started": ({ message_id: id, ...about }) => this.#thread.view(id)?.begun(about),
    "generation.delta": (frame) => this.#delta(frame),
    "message.rendered": (frame) => this.#rendered(frame),
    "message.completed": (frame) => this.#ended(frame, "Answer complete."),
    "message.stopped": (frame) => this.#ended(frame, "Answer stopped."),
    "message.failed": (frame) => this.#ended(frame, "The answer could not be completed."),
  };

  /** Where things stand. When the page does not agree, or has been away, it looks. */
  async #snapshot({ conversation, streaming, blocks }) {
    const wasAway = this.#known !== null;
    const disagrees = conversation.updated_at !== this.dataset.updatedAt || streaming?.message_id !== this.#thread.streaming?.id;
    this.#reply = streaming && new Reply(streaming.message_id, { ...streaming, blocks });
    this.#describe(conversation);
    if (wasAway || disagrees) await this.#look();
    this.#showReply();
    this.#ready?.();
    this.#sendAgain();
  }

  #showReply() {
    const view = this.#reply && this.#thread.view(this.#reply.messageId);
    if (view && !view.isFinal) this.#reply.showOn(view);
  }

  #updated(conversation) {
    const before = JSON.stringify(this.#known);
    this.#describe(conversation);
    // Nothing that is told has changed, so it is what is not: the branch being read.
    if (before === JSON.stringify(conversation)) this.#look();
  }

  #created(message) {
    if (message.status === "streaming") {
      this.#reply = new Reply(message.id);
      this.#announce("The model is answering.");
    }
    if (!this.#thread.add(message)) this.#look();
    this.#settle();
  }

  #delta(frame) {
    if (this.#reply?.messageId !== frame.message_id) return;
    this.#reply.take(frame);
    const view = this.#thread.view(frame.message_id);
    if (view) this.#reply.tellTo(view);
  }

  #rendered(block) {
    if (this.#reply?.messageId !== block.message_id) return;
    this.#reply.takeBlock(block);
    const view = this.#thread.view(block.message_id);
    if (!view || view.isFinal) return;
    if (view.isInBlocks) view.showBlock(block);
    else this.#reply.showOn(view);
  }

  async #ended({ message, html }, words) {
    if (this.#reply?.messageId === message.id) this.#reply = null;
    const view = this.#thread.view(message.id);
    if (!view) return this.#look();
    // The server words what went wrong.
    if (message.error) await this.#lookAt(message.id).catch(quiet);
    else view.finish(message, html);
    this.#settle();
    this.#announce(message.error ? words : `${words} ${message.content.slice(0, ANNOUNCED)}`);
  }

  // --- Looking at the rows again

  /** One look at a time; asked for meanwhile, another one follows, since the first may have come too early. */
  #look() {
    this.#nextLook ??= this.#lastLook.then(() => {
      this.#lastLook = this.#nextLook;
      this.#nextLook = null;
      return this.#lookNow().catch(quiet);
    });
    return this.#nextLook;
  }

  async #lookNow() {
    await this.#thread.reconcile(`/c/${this.conversationId}/messages`, this.#state === "live");
    this.#showReply();
    this.#settle();
    this.#awaitEarlier();
  }

  #lookAt(id) {
    return this.#thread.reconcileOne(`/c/${this.conversationId}/messages/${id}`, this.#state === "live");
  }

  /** Without a socket nobody tells of a new title either. */
  async #lookAtAll() {
    await this.#look();
    if (this.#state === "live") return;
    const { conversation } = await api("GET", `${this.#path}?limit=1`);
    this.#describe(conversation);
    this.#say("conversation:changed", conversation);
  }

  async #lookAtReply() {
    const view = this.#thread.streaming;
    if (!view || this.#state === "gone") return;
    await this.#lookAt(view.id);
    if (!this.#thread.streaming) this.#settle();
  }

  /** Earlier messages come by themselves when the reader gets near their button. */
  #awaitEarlier() {
    const { earlier } = this.#thread;
    if (!earlier || earlier.dataset.isAwaited) return;
    earlier.dataset.isAwaited = "true";
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      this.#loadEarlier().catch(quiet);
    }, { rootMargin: "400px 0px 0px" });
    observer.observe(earlier);
  }

  async #loadEarlier() {
    await this.#thread.loadEarlier((anchor, change) => this.#follow.keeping(anchor, () => {
      change();
      this.#settle();
    }));
    this.#awaitEarlier();
  }

  // --- Sending

  async #send(content) {
    const item = { clientId: newClientId(), content, model: this.#composer.model };
    this.#outbox.add(item);
    this.#thread.addUnsent(item);
    this.#settle();
    this.#follow.toEnd();
    await this.#deliver(item);
  }

  async #deliver({ clientId, content, model }) {
    this.#thread.unsent(clientId)?.sending();
    try {
      if (!this.conversationId) await this.#make(model);
      await this.#channel.command({ type: "message.send", client_id: clientId, content, model });
    } catch (error) {
      this.#thread.unsent(clientId)?.notSent(error.message, error instanceof Unreachable);
    }
  }

  /** The server has this one. */
  #arrived(clientId) {
    this.#outbox.remove(clientId);
    this.#channel?.acknowledge(clientId);
  }

  /** The first message makes the conversation; the address changes, the page does not. */
  #make(model) {
    this.#making ??= this.#makeNow(model).finally(() => (this.#making = null));
    return this.#making;
  }

  async #makeNow(model) {
    const temporary = this.#isTemporary;
    const conversation = await api("POST", "/api/chat/conversations", { temporary, ...(model && { model }) });
    this.dataset.id = conversation.id;
    this.#outbox.moveTo(conversation.id);
    this.#composer.moveTo(conversation.id);
    history.replaceState({ htmx: true }, "", `/c/${conversation.id}`);
    this.#describe(conversation);
    this.#known = null; // the first snapshot is no return
    this.#settle();
    this.#say("conversation:shown", { id: conversation.id });
    await new Promise((resolve) => {
      this.#ready = resolve;
      setTimeout(resolve, READY_WITHIN);
      this.#open();
    });
  }

  /** The line is back: what could not be sent for want of it is offered again, under the same names. */
  #sendAgain() {
    for (const item of this.#outbox.all()) if (this.#thread.unsent(item.clientId)?.isWaiting) this.#deliver(item);
  }

  /** What an earlier visit to this page has left: perhaps the server has it, and only its answer was lost. */
  #showOutbox() {
    const stored = new Set(this.#thread.views.map((view) => view.clientId));
    for (const item of this.#outbox.all()) {
      if (stored.has(item.clientId)) this.#outbox.remove(item.clientId);
      else this.#thread.addUnsent(item).notSent("the page was left before it arrived.");
    }
  }

  #remember(model) {
    if (this.conversationId) api("PATCH", this.#path, { model }).catch(sayWhy);
  }

  // --- What one can do with a message

  #clicked = (event) => {
    const button = event.target.closest("[data-action]");
    const action = button && this.#actions[button.dataset.action];
    const article = button?.closest(".message");
    if (action) Promise.resolve(action(article && MessageView.of(article), button)).catch(sayWhy);
  };

  #actions = {
    stop: () => request("POST", `${this.#path}/stop`),
    "to-end": () => this.#follow.toEnd(),
    "look-again": () => this.#composer.loadModels(),
    earlier: () => this.#loadEarlier(),
    copy: (view, button) => copyText(view.source).then(() => tick(button)),
    "copy-code": (view, button) => copyText(button.closest("figure").querySelector("pre").textContent).then(() => tick(button)),
    regenerate: (view) => this.#command("message.regenerate", view, { model: this.#composer.model }),
    edit: (view) => edit(view, copyOf(this.querySelector("template[data-editor]")), (content) => this.#command("message.edit", view, { content })),
    unfold: (view) => view.unfold(),
    retry: (view) => this.#deliver(this.#outbox.find(view.clientId)),
    discard: (view) => this.#takeBack(view),
    previous: (view) => this.#switch(view, -1),
    next: (view) => this.#switch(view, 1),
  };

  #command(type, view, fields) {
    return this.#channel.command({ type, message_id: view.id, ...fields });
  }

  #takeBack(view) {
    this.#outbox.remove(view.clientId);
    view.element.remove();
    this.#composer.text = [view.source, this.#composer.text].filter(Boolean).join("\n");
    this.#composer.focus();
    this.#settle();
  }

  async #switch(view, step) {
    const { siblings } = view;
    const next = siblings[siblings.indexOf(view.id) + step];
    if (next === undefined) return;
    const top = view.element.getBoundingClientRect().top;
    await request("POST", `${this.#path}/head`, { message_id: next });
    await this.#look();
    const shown = this.#thread.view(next);
    if (!shown) return;
    scrollBy({ top: shown.element.getBoundingClientRect().top - top, behavior: "instant" });
    shown.focusBranches(step);
  }
}

customElements.define("gantry-conversation", ConversationElement);
