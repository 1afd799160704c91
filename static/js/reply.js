// The reply that is being written, as the channel tells it: kept apart from the page, so that a message which is put on
// the page later, or anew, shows all of it.

export class Reply {
  #seq;
  #text;
  #blocks;

  constructor(messageId, { seq = 0, text = "", blocks = [] } = {}) {
    this.messageId = messageId;
    this.#seq = seq;
    this.#text = text;
    this.#blocks = blocks;
  }

  /** More text; a delta that is here already changes nothing. */
  take({ seq, text }) {
    if (seq <= this.#seq) return;
    this.#seq = seq;
    this.#text += text;
  }

  /** Safe HTML of a block that is new or has changed. */
  takeBlock(block) {
    this.#blocks[block.block] = block;
  }

  /** All of it, on its message. */
  showOn(view) {
    this.tellTo(view);
    view.showBlocks(this.#blocks.filter(Boolean));
  }

  /** Its text alone, for copying. */
  tellTo(view) {
    view.source = this.#text;
  }
}
