// Times in words that stay true while the page is open, exact on hover in the reader's own time zone.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** How long ago, in the words that the server uses. */
export function ago(at, now = new Date()) {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return day.format(at);
}

/** Word the times below `root`. */
export function wordTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const words = ago(at);
    if (element.textContent !== words) element.textContent = words;
    element.title = exact.format(at);
  }
}

setInterval(wordTimes, 30_000);

// The server puts conversations on the shelf of the reader's own day.
document.cookie = `timezone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; samesite=lax`;
