// Where the reader is. Somebody who reads the end is kept at the end while text arrives; somebody who reads further up is
// left alone, and told that there is more below.

const NEAR = 40;
const page = document.documentElement;

export class Follow {
  #pill;
  #isFollowing = true;
  #at = 0;
  #height = 0;
  #observer = new ResizeObserver(() => this.#grown());

  constructor(watched, pill) {
    this.#pill = pill;
    watched.forEach((element) => this.#observer.observe(element));
    addEventListener("scroll", this.#scrolled, { passive: true });
    addEventListener("resize", this.#resized);
    this.toEnd();
  }

  stop() {
    this.#observer.disconnect();
    removeEventListener("scroll", this.#scrolled);
    removeEventListener("resize", this.#resized);
  }

  toEnd() {
    this.#isFollowing = true;
    scrollTo({ top: page.scrollHeight, behavior: "instant" });
    this.#remember();
  }

  /** Change the page above the reader without moving what is being read. */
  async keeping(element, change) {
    const before = element.getBoundingClientRect().top;
    await change();
    scrollBy({ top: element.getBoundingClientRect().top - before, behavior: "instant" });
    this.#remember();
  }

  #distance() {
    return page.scrollHeight - innerHeight - scrollY;
  }

  #remember() {
    this.#at = scrollY;
    this.#height = page.scrollHeight;
    this.#pill.hidden = this.#distance() < NEAR * 4;
    if (this.#pill.hidden) this.#pill.classList.remove("is-growing");
  }

  #scrolled = () => {
    const wentUp = scrollY < this.#at && page.scrollHeight >= this.#height;
    const wentDown = scrollY > this.#at;
    if (wentUp) this.#isFollowing = false;
    else if (wentDown && this.#distance() < NEAR) this.#isFollowing = true;
    this.#remember();
  };

  #resized = () => {
    if (this.#isFollowing) this.toEnd();
  };

  #grown() {
    if (this.#isFollowing) return this.toEnd();
    if (page.scrollHeight > this.#height) this.#pill.classList.add("is-growing");
    this.#remember();
  }
}
