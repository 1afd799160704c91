// One conversation on the page: what is said comes from the server, over the channel while it is written and as parts of
// pages otherwise. The server's rows are the truth; whatever was missed is healed by looking at them again.

import { api, newClientId, part, request } from "./api.js";
import { Channel } from "./channel.js";
import { Composer } from "./composer.js";
import { edit } from "./editor.js";
import { Follow } from "./follow.js";
import { copyOf, copyText, tick } from "./markup.js";
import { MessageView } from "./message.js";
import { notice, sayWhy } from "./notices.js";
import { Outbox } from "./outbox.js";

const APP = "Nebulus Gantry";
const POLL_EVERY = 600;
const SLOW_AFTER = 8_000;
const READY_WITHIN = 2_000;

const CONNECTION = {
  live: "",
  lost: "Connection lost. Trying again…",
  stream: "Websockets do not get through here, so answers arrive in steps.",
  gone: "This conversation is gone: it was deleted.",
};

class ConversationElement extends HTMLElement {
  #thread;
  #templates;
  #composer;
  #follow;
  #outbox;
  #channel = null;
  #state = "live";
  #ready = Promise.withResolvers?.() ?? withResolvers();
  #making = null;
  #streaming = null; // what the channel told of the reply being written: {messageId, seq, text, blocks}
  #looking = null;
  #poll = 0;
  #slow = 0;

  connectedCallback() {
    this.#thread = this.querySelector(".thread");
    this.#templates = Object.fromEntries([...this.querySelectorAll("template[data-message]")].map((each) => [each.dataset.message, each]));
    this.#outbox = new Outbox(this.conversationId);
    this.#composer = new Composer(this.querySelector(".composer"), this.conversationId, {
      send: (text) => this.#send(text),
      model: (name) => this.#remember(name),
      reachable: (isReachable) => (this.querySelector(".no-model").hidden = isReachable),
    });
    this.addEventListener("click", this.#clicked);
    addEventListener("online", this.#connectionChanged);
    addEventListener("offline", this.#connectionChanged);
    this.#showOutbox();
    this.#settle();
    this.#follow = new Follow(this.#thread, this.querySelector(".dock"), this.querySelector(".below"));
    this.#awaitReveal();
    if (this.conversationId) this.#open();
    this.#composer.loadModels();
    this.#composer.focus();
    this.#say("conversation:shown", { id: this.conversationId });
  }

  disconnectedCallback() {
    this.#channel?.close();
    this.#follow.stop();
    clearInterval(this.#poll);
    clearTimeout(this.#slow);
    removeEventListener("online", this.#connectionChanged);
    removeEventListener("offline", this.#connectionChanged);
  }

  get conversationId() {
    return Number(this.dataset.id) || null;
  }

  // --- What is on the page

  #views() {
    return [...this.#thread.querySelectorAll(":scope > .message")].map((article) => MessageView.of(article));
  }

  #view(id) {
    const article = this.#thread.querySelector(`:scope > #m${Number(id)}`);
    return article && MessageView.of(article);
  }

  #unsentView(clientId) {
    return this.#views().find((view) => view.clientId === clientId && view.id === null);
  }

  /** After the messages have changed: everything that follows from which there are and how they stand. */
  #settle() {
    const views = this.#views();
    const isNew = views.length === 0;
    const isStreaming = views.some((view) => view.status === "streaming");
    this.classList.toggle("is-new", isNew && !this.conversationId);
    this.querySelector(".welcome").hidden = !isNew;
    this.#composer.isStreaming = isStreaming;
    views.forEach((view) => view.fold());
    this.#watchSlowness(isStreaming);
    clearInterval(this.#poll);
    if (isStreaming && this.#state !== "live") this.#poll = setInterval(() => this.#lookAtReply(), POLL_EVERY);
  }

  #watchSlowness(isStreaming) {
    clearTimeout(this.#slow);
    if (!isStreaming) return;
    this.#slow = setTimeout(() => {
      const words = this.#thread.querySelector('[data-status="streaming"] .waiting .words');
      if (words) words.textContent = "Still waiting. A model that has to be loaded first can take a minute.";
    }, SLOW_AFTER);
  }

  #announce(words) {
    this.querySelector(".announcer").textContent = words;
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
    this.#connectionChanged();
    if (state === "gone") this.#composer.close();
    if (isBack) this.#look().then(() => this.#sendAgain());
    this.#settle();
  }

  #connectionChanged = () => {
    const line = this.querySelector(".connection");
    const words = navigator.onLine || this.#state === "live" ? CONNECTION[this.#state] : "You are offline. What you write is kept here.";
    line.hidden = words === "";
    if (line.textContent !== words) line.textContent = words;
  };

  #handlers = {
    "conversation.snapshot": (frame) => this.#snapshot(frame),
    "conversation.updated": ({ conversation }) => this.#updated(conversation),
    "message.created": ({ message }) => this.#created(message),
    "turn.started": ({ message_id: id, ...about }) => this.#view(id)?.begun(about),
    "generation.delta": (frame) => this.#delta(frame),
    "message.rendered": (frame) => this.#rendered(frame),
    "message.completed": (frame) => this.#ended(frame, "Answer complete."),
    "message.stopped": (frame) => this.#ended(frame, "Answer stopped."),
    "message.failed": (frame) => this.#ended(frame, "The answer could not be completed."),
  };

  /** Where things stand. When the page does not agree, it looks. */
  async #snapshot({ conversation, streaming, blocks = [] }) {
    const isFirst = this.#streaming === null && !this.dataset.isKnown;
    this.#streaming = streaming && { messageId: streaming.message_id, seq: streaming.seq, text: streaming.text, blocks };
    const disagrees = this.#views().some((view) => view.status === "streaming" && view.id !== streaming?.message_id)
      || (streaming && !this.#view(streaming.message_id))
      || conversation.updated_at !== this.dataset.updatedAt;
    this.dataset.isKnown = "true";
    this.#describe(conversation);
    if (disagrees || !isFirst) await this.#look();
    this.#showStreaming();
    this.#ready.resolve();
    this.#sendAgain();
  }

  /** What the channel told of the reply that is being written, on its message. */
  #showStreaming() {
    const view = this.#streaming && this.#view(this.#streaming.messageId);
    if (!view || view.isFinal) return;
    view.source = this.#streaming.text;
    view.showBlocks(this.#streaming.blocks.filter(Boolean));
  }

  #updated(conversation) {
    const before = JSON.stringify(this.#described);
    this.#describe(conversation);
    // Nothing that is told has changed, so it is what is not: the branch being read.
    if (before === JSON.stringify(conversation)) this.#look();
  }

  #described = null;

  #describe(conversation) {
    this.#described = conversation;
    this.dataset.updatedAt = conversation.updated_at;
    const topbar = this.querySelector(".topbar");
    Object.assign(topbar.dataset, { conversation: conversation.id, pinned: conversation.pinned, archived: conversation.archived });
    const title = topbar.querySelector(".title");
    if (title) title.textContent = conversation.title;
    topbar.querySelector("[popovertarget=conversation-menu]").hidden = false;
    document.title = `${conversation.title} · ${APP}`;
    this.#composer.showModel(conversation.model);
  }

  /** A message stands below its parent, and whatever stood there before belongs to another branch. */
  #created(message) {
    this.#channel.acknowledge(message.client_id);
    this.#unsentView(message.client_id)?.element.remove();
    this.#outbox.remove(message.client_id);
    const known = this.#view(message.id);
    if (known) return known.update(message), this.#settle();
    if (message.parent_id !== null && !this.#view(message.parent_id)) return this.#look();
    this.#clearBelow(message.parent_id);
    const view = MessageView.from(message, this.#templates);
    this.#place(view);
    if (message.status === "streaming") {
      this.#streaming = { messageId: message.id, seq: 0, text: "", blocks: [] };
      this.#announce("The model is answering.");
    }
    this.#settle();
  }

  #clearBelow(id) {
    for (const view of this.#views()) if (view.id !== null && view.id > (id ?? 0)) view.element.remove();
    if (id === null) this.#earlier()?.remove();
  }

  /** In the order of ids; what is not sent yet comes last. */
  #place(view) {
    const next = this.#views().find((other) => other.id === null || other.id > view.id);
    this.#thread.insertBefore(view.element, next?.element ?? null);
  }

  #delta({ message_id: id, seq, text }) {
    const reply = this.#streaming;
    if (reply?.messageId !== id || seq <= reply.seq) return;
    reply.seq = seq;
    reply.text += text;
    const view = this.#view(id);
    if (view) view.source = reply.text;
  }

  #rendered(block) {
    if (this.#streaming?.messageId !== block.message_id) return;
    this.#streaming.blocks[block.block] = block;
    const view = this.#view(block.message_id);
    if (view && !view.isFinal) view.showBlock(block);
  }

  async #ended({ message, html }, words) {
    if (this.#streaming?.messageId === message.id) this.#streaming = null;
    const view = this.#view(message.id);
    if (!view) return this.#look();
    if (message.error) await this.#lookAt(message.id);
    else view.finish(message, html);
    this.#settle();
    this.#announce(message.error ? words : `${words} ${message.content.slice(0, 400)}`);
  }

  // --- Looking at the rows again

  /** The newest messages as they are now; what is on the page already and still true stays untouched. */
  #look() {
    this.#looking ??= this.#reconcile().catch(quiet).finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #reconcile() {
    const before = new Set(this.#views()); // what comes in meanwhile is newer than what is fetched
    const nodes = await part(`/c/${this.conversationId}/messages`);
    const fresh = [...nodes.querySelectorAll(".message")];
    const isConnected = fresh.length > 0 && this.#thread.contains(document.getElementById(fresh[0].id));
    const ids = new Set(fresh.map((article) => article.id));
    const first = Number(fresh[0]?.dataset.id ?? 0);
    for (const view of before) {
      const isAbove = isConnected && view.id < first;
      if (view.id !== null && !isAbove && !ids.has(view.element.id)) view.element.remove();
    }
    if (!isConnected) this.#replaceEarlier(nodes.querySelector(".earlier"));
    fresh.forEach((article) => this.#adopt(article));
    this.#settle();
  }

  /** Without a socket nobody tells of a new title either. */
  async #lookAtAll() {
    await this.#look();
    if (this.#state === "live") return;
    const { conversation } = await api("GET", `/api/chat/conversations/${this.conversationId}?limit=1`);
    this.#describe(conversation);
    this.#say("conversation:changed", conversation);
  }

  #replaceEarlier(element) {
    this.#earlier()?.remove();
    if (element) this.#thread.prepend(element);
    this.#awaitReveal();
  }

  #adopt(article) {
    const clientId = article.dataset.clientId;
    if (clientId) {
      this.#channel?.acknowledge(clientId);
      this.#unsentView(clientId)?.element.remove();
      this.#outbox.remove(clientId);
    }
    const known = this.#view(article.dataset.id);
    if (known && (known.isFinal ? known.element.dataset.siblings === article.dataset.siblings : this.#isNoNewer(known, article))) return;
    if (known) known.element.replaceWith(article);
    const view = MessageView.of(article);
    if (!known) this.#place(view);
    view.decorate();
  }

  /** While the channel is live it is ahead of the rows. */
  #isNoNewer(known, article) {
    if (article.dataset.status !== "streaming") return false;
    return this.#state === "live" || known.source === MessageView.of(article).source;
  }

  async #lookAt(id) {
    const article = (await part(`/c/${this.conversationId}/messages/${id}`)).querySelector(".message");
    this.#adopt(article);
  }

  async #lookAtReply() {
    const view = this.#views().find((each) => each.status === "streaming");
    if (!view?.id || this.#state === "gone") return;
    await this.#lookAt(view.id).catch(quiet);
    if (this.#view(view.id)?.isFinal) this.#settle();
  }

  // --- Earlier messages

  #earlier() {
    return this.#thread.querySelector(":scope > .earlier");
  }

  /** The button is pressed by itself when the reader comes near it. */
  #awaitReveal() {
    const earlier = this.#earlier();
    if (!earlier) return;
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      this.#loadEarlier().catch(quiet);
    }, { rootMargin: "400px 0px 0px" });
    observer.observe(earlier);
  }

  /** What is being read stays where it is. */
  async #loadEarlier() {
    const earlier = this.#earlier();
    if (!earlier || earlier.classList.contains("is-loading")) return;
    earlier.classList.add("is-loading");
    try {
      const nodes = await part(earlier.dataset.href);
      if (!earlier.isConnected) return;
      this.#follow.keeping(this.#thread.querySelector(":scope > .message"), () => {
        earlier.replaceWith(nodes);
        this.#settle();
      });
      this.#awaitReveal();
    } finally {
      earlier.classList.remove("is-loading");
    }
  }

  // --- Sending

  async #send(content) {
    const item = { clientId: newClientId(), content, model: this.#composer.model };
    this.#outbox.add(item);
    this.#showUnsent(item);
    this.#settle();
    this.#follow.toEnd();
    await this.#deliver(item);
  }

  /** What an earlier visit to this page has left: perhaps the server has it, and only its answer was lost. */
  #showOutbox() {
    const arrived = new Set(this.#views().map((view) => view.clientId));
    for (const item of this.#outbox.all()) {
      if (arrived.has(item.clientId)) this.#outbox.remove(item.clientId);
      else this.#showUnsent(item).notSent("the page was left before it arrived.");
    }
  }

  #showUnsent({ clientId, content }) {
    const view = MessageView.unsent(content, clientId, this.#templates);
    this.#thread.append(view.element);
    return view;
  }

  async #deliver({ clientId, content, model }) {
    this.#unsentView(clientId)?.sending();
    try {
      if (!this.conversationId) await this.#make(model);
      await this.#channel.command({ type: "message.send", client_id: clientId, content, model });
    } catch (error) {
      const isUnreachable = error instanceof TypeError;
      this.#unsentView(clientId)?.notSent(isUnreachable ? "Nebulus Gantry cannot be reached." : error.message, isUnreachable);
    }
  }

  /** The first message makes the conversation; the address changes, the page does not. */
  #make(model) {
    this.#making ??= this.#makeNow(model).finally(() => (this.#making = null));
    return this.#making;
  }

  async #makeNow(model) {
    const conversation = await api("POST", "/api/chat/conversations", model ? { model } : {});
    this.dataset.id = conversation.id;
    this.dataset.isKnown = "true";
    this.#outbox.moveTo(conversation.id);
    this.#composer.moveTo(conversation.id);
    history.replaceState({ htmx: true }, "", `/c/${conversation.id}`);
    this.#describe(conversation);
    this.#settle();
    this.#say("conversation:shown", { id: this.conversationId });
    this.#open();
    await Promise.race([this.#ready.promise, new Promise((resolve) => setTimeout(resolve, READY_WITHIN))]);
  }

  /** The line is back: what could not be sent for want of it is offered again, under the same names. */
  #sendAgain() {
    for (const item of this.#outbox.all()) if (this.#unsentView(item.clientId)?.isWaiting) this.#deliver(item);
  }

  #remember(model) {
    if (this.conversationId) api("PATCH", `/api/chat/conversations/${this.conversationId}`, { model }).catch(sayWhy);
  }

  // --- What one can do with a message

  #clicked = (event) => {
    const button = event.target.closest("[data-action]");
    const action = button && this.#actions[button.dataset.action];
    const article = button?.closest(".message");
    if (action) Promise.resolve(action(article && MessageView.of(article), button)).catch(sayWhy);
  };

  #actions = {
    stop: () => request("POST", `/api/chat/conversations/${this.conversationId}/stop`),
    "to-end": () => this.#follow.toEnd(),
    "look-again": () => this.#composer.loadModels(),
    earlier: () => this.#loadEarlier(),
    copy: (view, button) => copyText(view.source).then(() => tick(button)),
    "copy-code": (view, button) => copyText(button.closest("figure").querySelector("pre").textContent).then(() => tick(button)),
    regenerate: (view) => this.#channel.command({ type: "message.regenerate", message_id: view.id, model: this.#composer.model }),
    edit: (view) => edit(view, copyOf(this.querySelector("template[data-editor]")), (content) => this.#edited(view, content)),
    unfold: (view) => view.unfold(),
    retry: (view) => this.#deliver(this.#outbox.find(view.clientId)),
    discard: (view) => this.#takeBack(view),
    previous: (view) => this.#switch(view, -1),
    next: (view) => this.#switch(view, 1),
  };

  #edited(view, content) {
    return this.#channel.command({ type: "message.edit", message_id: view.id, content });
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
    await request("POST", `/api/chat/conversations/${this.conversationId}/head`, { message_id: next });
    await this.#look();
    const shown = this.#view(next)?.element;
    if (!shown) return;
    scrollBy({ top: shown.getBoundingClientRect().top - top, behavior: "instant" });
    const again = shown.querySelector(`[data-action="${step < 0 ? "previous" : "next"}"]`);
    (again.disabled ? shown.querySelector(".branches button:enabled") : again)?.focus({ preventScroll: true });
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
  }
}

function withResolvers() {
  const resolvers = {};
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
}

/** The next look will tell; the connection line already says that there is trouble. */
function quiet(error) {
  if (!(error instanceof Error)) throw error;
}

customElements.define("gantry-conversation", ConversationElement);
