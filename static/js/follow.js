// Where the reader is. Somebody who reads the end is kept at the end while text arrives; somebody who reads further up is
// left alone, and told that there is more below.

const NEAR = 40;
const page = document.documentElement;

export class Follow {
  #thread;
  #pill;
  #isFollowing = true;
  #at = 0;
  #height = 0;
  #size = { width: 0, height: 0 };
  #observer = new ResizeObserver(() => this.#grown());

  /** `dock` covers the end of the page, and grows as well. The page opens at the `target`, or at its end. */
  constructor(thread, dock, pill, target) {
    this.#thread = thread;
    this.#pill = pill;
    this.#observer.observe(thread);
    this.#observer.observe(dock);
    addEventListener("scroll", this.#scrolled, { passive: true });
    addEventListener("resize", this.#resized);
    if (target) this.#stayAt(target);
    else this.toEnd();
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

  #stayAt(target) {
    this.#isFollowing = false;
    target.scrollIntoView({ block: "start", behavior: "instant" });
    this.#remember();
  }

  /** Change the page above the reader without moving what is being read. */
  keeping(element, change) {
    const before = element.getBoundingClientRect().top;
    change();
    scrollBy({ top: element.getBoundingClientRect().top - before, behavior: "instant" });
    this.#size.height = this.#thread.getBoundingClientRect().height;
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
    const { width, height } = this.#thread.getBoundingClientRect();
    const isLonger = width === this.#size.width && height > this.#size.height;
    this.#size = { width, height };
    if (this.#isFollowing) return this.toEnd();
    this.#remember();
    this.#pill.classList.toggle("is-growing", !this.#pill.hidden && (isLonger || this.#pill.classList.contains("is-growing")));
  }
}
