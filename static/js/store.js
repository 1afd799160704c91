// What the tab keeps over a reload, for one person: whoever signs in after them does not find it.

const named = (key) => `${document.body.dataset.user}:${key}`;

export function kept(key) {
  return sessionStorage.getItem(named(key));
}

/** Keeps a text, or forgets it when it is empty. Where there is no room for it, it lives as long as the page does. */
export function keep(key, text) {
  sessionStorage.removeItem(named(key));
  if (!text) return;
  try {
    sessionStorage.setItem(named(key), text);
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
  }
}

/** Forgets everything. */
export function forget() {
  sessionStorage.clear();
}
