// A studio page that follows along: when something happens in its repo, the page's live parts are fetched again and
// put in place of those shown. The server's rows are the truth, so whatever was missed is healed by the same look.

import { part, quiet } from "../api.js";
import { Socket } from "../socket.js";

const LOST_AFTER = 2;

class StudioFollow extends HTMLElement {
  #socket = null;
  #seen = ""; // the newest thing that happened, as far as the page shows it
  #looking = false;
  #lookAgain = false;
  #isBehind = false; // a part was left as it is because somebody uses it

  connectedCallback() {
    this.#showYearsEnd();
    this.addEventListener("htmx:beforeSwap", showRefusals);
    this.addEventListener("htmx:afterSwap", ({ detail }) => (detail.requestConfig.verb === "post" ? this.#look() : this.#catchUp()));
    this.addEventListener("keydown", sendNote);
    this.addEventListener("focusout", () => this.#catchUp());
    this.addEventListener("toggle", () => this.#catchUp(), { capture: true });
    if (!this.dataset.repo) return;
    this.#seen = this.dataset.seen;
    this.#socket = new Socket(`/ws/studio/${this.dataset.repo}/`, {
      frame: (frame) => this.#happened(frame),
      down: (failures) => this.#connection(failures < LOST_AFTER),
      denied: () => location.reload(),
    });
  }

  disconnectedCallback() {
    this.#socket?.close();
  }

  /** A repo's page shows all of its sessions, a session's page one. */
  #happened({ type, session, lastActivity }) {
    const shown = this.dataset.session;
    if (type === "studio.snapshot") this.#connected(String(lastActivity));
    else if (type === "repo.updated" || (type.startsWith("session.") && (!shown || !session || session.sessionId === shown))) this.#look();
  }

  /** What happened before the socket stood is not told over it. */
  #connected(lastActivity) {
    this.#connection(true);
    if (lastActivity !== this.#seen) this.#look();
  }

  /** One look at a time; what happens meanwhile is worth one more. */
  async #look() {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#lookAgain && this.isConnected) {
        this.#lookAgain = false;
        const page = await part(location.pathname + location.search);
        this.#seen = page.querySelector("studio-follow").dataset.seen;
        this.#show(page);
      }
    } catch (error) {
      if (error.status === 404) location.reload(); // it was deleted, or is not for these eyes any more
      else quiet(error); // the connection line says it, and coming back looks again
    } finally {
      this.#looking = false;
    }
  }

  #show(page) {
    this.#isBehind = false;
    for (const stale of this.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(stale.id);
      if (!fresh) continue;
      if (isInUse(stale)) {
        this.#isBehind = true;
        continue;
      }
      if (stale.dataset.live === "rows") mergeRows(stale, fresh);
      else stale.replaceWith(fresh);
      window.htmx.process(fresh.isConnected ? fresh : stale);
    }
  }

  /** Somebody has let go of something. */
  #catchUp() {
    if (this.#isBehind) this.#look();
  }

  #connection(isThere) {
    this.querySelector(".connection-lost").hidden = isThere;
  }

  /** On a narrow screen the year is wider than the page: its newest end is the one to see. */
  #showYearsEnd() {
    const year = this.querySelector(".year");
    if (year) year.scrollLeft = year.scrollWidth;
  }
}

/** Nobody's writing or reading is taken from under them. */
function isInUse(element) {
  return element.querySelector("form.editing, details[open], .htmx-request, form :is(input, textarea, select):focus") !== null;
}

/** The first rows as they are now; those that were fetched with "more" stay below them. */
function mergeRows(list, fresh) {
  const rows = [...fresh.children];
  if (list.children.length <= rows.length) return list.replaceChildren(...rows);
  for (const row of rows) if (row.id) document.getElementById(row.id)?.remove();
  list.prepend(...rows.filter((row) => row.id));
}

/** Ctrl+Enter, or Cmd+Enter, adds the note; Enter alone is a new line of it. */
function sendNote(event) {
  if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
  event.target.closest("#append textarea")?.form.requestSubmit();
}

/** A refused form comes back with what was wrong in it, and what was written. */
function showRefusals({ detail }) {
  if (![409, 412, 422].includes(detail.xhr.status)) return;
  detail.shouldSwap = true;
  detail.isError = false;
}

customElements.define("studio-follow", StudioFollow);
