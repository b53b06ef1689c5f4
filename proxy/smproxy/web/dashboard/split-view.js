/* A list with the details of one item beside it or, where there is no room for both, instead of it. */

/** Show `detail`, or nothing, beside the list. The focus, if it was in what goes, moves to what comes instead. */
export function showDetail(split, list, detail) {
  const hadFocus = split.contains(document.activeElement);
  split.querySelector(":scope > .detail")?.remove();
  if (detail) split.append(detail.element);
  split.classList.toggle("chosen", detail !== null);
  const active = document.activeElement;
  if (!hadFocus || (split.contains(active) && active.checkVisibility())) return;
  (detail ?? list).element.querySelector(detail ? "h2" : "[role=grid]").focus();
}

/** Open the details of an item. From one item to the next the history does not grow, so that Back leads to the list. */
export function openDetail(list, part) {
  const address = `${list}/${part}`;
  if (location.hash.split("/").length > 2) location.replace(address);
  else location.hash = address;
}
