// A picture that is wider than its window opens at its middle, where those stand who are joined with most others. The
// page waits for this before it is painted, so nothing jumps. Where no fact joins anything there is no middle.

const drawing = document.querySelector(".drawing:has(.line)");
if (drawing) drawing.scrollLeft = (drawing.scrollWidth - drawing.clientWidth) / 2;
