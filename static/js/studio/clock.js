// A clock that runs on from what the server said had passed: a reader's own clock may be wrong.

class StudioClock extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    const startedAt = performance.now() - Number(this.dataset.elapsed) * 1000;
    const show = () => (this.textContent = words(Math.floor((performance.now() - startedAt) / 1000)));
    show();
    this.#timer = setInterval(show, 1000);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }
}

const two = (number) => String(number).padStart(2, "0");

/** `1:05:09`, as the server writes it. */
function words(seconds) {
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

customElements.define("studio-clock", StudioClock);
