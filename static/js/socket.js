// A websocket that comes back by itself: waits grow and are scattered, a silent line is noticed, and going online or
// returning to the tab tries at once.

const LONGEST_WAIT = 30_000;
const SILENCE = 25_000;
const PATIENCE = 10_000;
const CLOSED_FOR_GOOD = new Set([4401, 4404]);

export class Socket {
  #path;
  #on;
  #socket = null;
  #failures = 0;
  #timer = 0;
  #alive = 0;
  #ended = false;

  /** `on`: frame(object), open(), down(failuresInARow), denied(code). */
  constructor(path, on) {
    this.#path = path;
    this.#on = on;
    addEventListener("online", this.tryNow);
    document.addEventListener("visibilitychange", this.tryNow);
    this.#connect();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends a frame; false when there is no connection. */
  send(frame) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#alive);
    removeEventListener("online", this.tryNow);
    document.removeEventListener("visibilitychange", this.tryNow);
    this.#socket?.close();
  }

  /** Does not wait for the next try; an open line is asked whether it is alive. */
  tryNow = () => {
    if (this.#ended || document.hidden) return;
    if (this.#socket === null) this.#connect();
    else if (this.isOpen) this.#ask();
  };

  #connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.#path}`);
    this.#socket = socket;
    this.#alive = setTimeout(() => this.#drop(socket), PATIENCE);
    socket.onopen = () => {
      this.#heard();
      this.#on.open?.();
    };
    socket.onmessage = ({ data }) => {
      this.#failures = 0;
      this.#heard();
      this.#on.frame(JSON.parse(data));
    };
    socket.onclose = ({ code }) => this.#down(socket, code);
  }

  #heard() {
    clearTimeout(this.#alive);
    this.#alive = setTimeout(() => this.#ask(), SILENCE);
  }

  /** Nothing came for a while: ask, and give up on a line that does not answer. */
  #ask() {
    const socket = this.#socket;
    if (!this.send({ type: "ping" })) return;
    clearTimeout(this.#alive);
    this.#alive = setTimeout(() => this.#drop(socket), PATIENCE);
  }

  /** A dead line may take minutes to close in good order; it is not waited for. */
  #drop(socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#down(socket, 1006);
  }

  #down(socket, code) {
    if (socket !== this.#socket || this.#ended) return;
    clearTimeout(this.#alive);
    this.#socket = null;
    if (CLOSED_FOR_GOOD.has(code)) {
      this.close();
      this.#on.denied?.(code);
      return;
    }
    this.#failures += 1;
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** Math.min(this.#failures - 1, 6));
    this.#timer = setTimeout(() => this.#connect(), wait * (0.5 + Math.random() / 2));
    this.#on.down?.(this.#failures);
  }
}
