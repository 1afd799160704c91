// The line to one conversation: a websocket, and where none gets through, the event stream and plain requests. Whoever
// uses it sends the same commands either way.

import { newClientId, quiet, request } from "./api.js";
import { Socket } from "./socket.js";

// A socket takes 1 MiB; what is longer goes by POST.
const LARGEST_FRAME = 1_000_000;
const TRIES_BEFORE_FALLBACK = 2;
const ACKNOWLEDGED_WITHIN = 10_000;

export class Channel {
  #id;
  #on;
  #socket;
  #events = null;
  #isLive = false; // a socket that is open is one only when the snapshot has come
  #unanswered = new Map();

  /** `on`: frame(object), state("live" | "lost" | "stream" | "gone"), changed() when the page should look again. */
  constructor(id, on) {
    this.#id = id;
    this.#on = on;
    this.#socket = new Socket(`/ws/conversations/${id}/?render=html`, {
      frame: (frame) => this.#frame(frame),
      down: (failures) => this.#down(failures),
      denied: (code) => (code === 4401 ? location.reload() : on.state("gone")),
    });
  }

  close() {
    this.#socket.close();
    this.#events?.close();
    this.#events = null;
  }

  /** Resolves once the server has taken the command, throws when it refused it or cannot be reached. */
  async command(frame) {
    const named = { client_id: newClientId(), ...frame };
    const size = new Blob([JSON.stringify(named)]).size;
    if (size < LARGEST_FRAME && (await this.#overSocket(named))) return;
    await post(this.#id, named);
    this.#on.changed();
  }

  /** The server has this one. */
  acknowledge(clientId) {
    this.#unanswered.get(clientId)?.resolve(true);
  }

  /** False when the socket did not take it, or nothing was heard of it: then it may go another way, since it is named. */
  #overSocket(frame) {
    if (!this.#isLive || !this.#socket.send(frame)) return false;
    return new Promise((resolve, reject) => {
      this.#unanswered.set(frame.client_id, { resolve, reject });
      setTimeout(() => resolve(false), ACKNOWLEDGED_WITHIN);
    }).finally(() => this.#unanswered.delete(frame.client_id));
  }

  #frame(frame) {
    this.#events?.close();
    this.#events = null;
    if (frame.type === "conversation.snapshot") {
      this.#isLive = true;
      this.#on.state("live");
    }
    if (frame.type === "error") this.#refused(frame);
    else this.#on.frame(frame);
  }

  #refused({ code, detail, client_id: clientId }) {
    this.#unanswered.get(clientId)?.reject(Object.assign(new Error(detail), { code }));
  }

  #down(failures) {
    this.#isLive = false;
    for (const { resolve } of this.#unanswered.values()) resolve(false);
    if (failures >= TRIES_BEFORE_FALLBACK) this.#stream();
    else this.#on.state("lost");
  }

  #stream() {
    if (this.#events) return;
    const events = new EventSource(`/api/chat/conversations/${this.#id}/events`);
    this.#events = events;
    events.onopen = () => {
      this.#on.state("stream");
      this.#socket.tryNow(); // the server is there: perhaps it was only away
    };
    for (const name of ["snapshot", "created", "done", "stopped"]) events.addEventListener(name, () => this.#on.changed());
    // The frame of a failed turn and the browser's own news of a broken line share this name; only the frame has data.
    events.addEventListener("error", ({ data }) => (data ? this.#on.changed() : this.#broken(events)));
  }

  #broken(events) {
    this.#on.state("lost");
    if (events.readyState !== EventSource.CLOSED || events !== this.#events) return;
    this.#events = null;
    request("GET", `/api/chat/conversations/${this.#id}?limit=1`).catch((error) => (error.status === 404 ? this.#on.state("gone") : quiet(error)));
  }
}

/** A command as a request. The answer's stream is not read: the turn belongs to the conversation, not to whoever asked. */
async function post(id, { type, message_id: messageId, ...body }) {
  const [method, path] = {
    "message.send": ["POST", `conversations/${id}/messages`],
    "message.edit": ["PATCH", `messages/${messageId}`],
    "message.regenerate": ["POST", `messages/${messageId}/regenerate`],
  }[type];
  const response = await request(method, `/api/chat/${path}`, body, { accept: "text/event-stream" });
  await response.body?.cancel();
}
