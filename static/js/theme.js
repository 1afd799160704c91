// The chosen theme, in a cookie: the server puts it on the page before the first paint.

document.addEventListener("change", ({ target }) => {
  if (target.name !== "theme") return;
  const root = document.documentElement;
  if (target.value === "auto") delete root.dataset.theme;
  else root.dataset.theme = target.value;
  const age = target.value === "auto" ? 0 : 31_536_000;
  document.cookie = `theme=${target.value}; path=/; max-age=${age}; samesite=lax`;
});
