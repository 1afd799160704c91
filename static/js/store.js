// What the tab keeps over a reload.

export function kept(key) {
  return sessionStorage.getItem(key);
}

/** Keeps a text, or forgets it when it is empty. Where there is no room for it, it lives as long as the page does. */
export function keep(key, text) {
  sessionStorage.removeItem(key);
  if (!text) return;
  try {
    sessionStorage.setItem(key, text);
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
  }
}
