// A part of a conversation that is shown to be read: the branch it is on can be made the one to go on with.

import { request } from "./api.js";
import { sayWhy } from "./notices.js";

class ExcerptElement extends HTMLElement {
  connectedCallback() {
    const { id, message } = this.dataset;
    this.dispatchEvent(new CustomEvent("conversation:shown", { bubbles: true, detail: { id: Number(id) } }));
    this.querySelector("[data-action=continue]")?.addEventListener("click", () => {
      request("POST", `/api/chat/conversations/${id}/head`, { message_id: Number(message) }).then(() => location.reload(), sayWhy);
    });
  }
}

customElements.define("gantry-excerpt", ExcerptElement);
