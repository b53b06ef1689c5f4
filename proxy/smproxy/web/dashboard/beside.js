/* What is chosen, beside its list or, where there is no room for both, instead of it. */

/** Show `detail`, or nothing, beside the list. The keyboard is not lost with what goes: it moves to what comes instead. */
export function beside(split, list, detail) {
  const here = split.contains(document.activeElement);
  split.querySelector(":scope > .detail")?.remove();
  if (detail) split.append(detail.element);
  split.classList.toggle("chosen", detail !== null);
  const active = document.activeElement;
  if (!here || (split.contains(active) && active.checkVisibility())) return;
  (detail ?? list).element.querySelector(detail ? "h2" : "[role=grid]").focus();
}

/** Go to one of a list. From one to the next the browser's history does not grow, so that Back leads to the list. */
export function choose(list, part) {
  const address = `${list}/${part}`;
  if (location.hash.split("/").length > 2) location.replace(address);
  else location.hash = address;
}
