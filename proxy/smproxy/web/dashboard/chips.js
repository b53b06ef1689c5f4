/* States as small labels: words, and a colour that only repeats them. */

import { h, setText } from "../shared/dom.js";

const KIND = {
  connecting: "warn",
  connected: "live",
  reconnecting: "warn",
  failed: "bad",
  delivered: "live",
  delivering: "live",
  on: "warn",
  pending: "warn",
  retry: "warn",
  dead: "bad",
  disabled: "bad",
};

/** Make a label. */
export function chip(state = "") {
  return setChip(h("span", { class: "tag" }), state);
}

/** Say another state with a label. */
export function setChip(element, state) {
  setText(element, state);
  element.dataset.state = KIND[state] ?? "";
  return element;
}

/** Sum up the deliveries of a hook: what is worst about them, and in words for how many sinks. */
export function delivered(hook) {
  const states = [...hook.deliveries.values()].map(({ state }) => state);
  if (!states.length) return { state: "", words: "" };
  const tries = Math.max(...[...hook.deliveries.values()].map((each) => each.tries));
  const worst = ["dead", "pending", "delivered", "skipped"].find((state) => states.includes(state)) ?? states[0];
  const retrying = worst === "pending" && tries > 0;
  const share = states.length > 1 ? ` ${states.filter((state) => state === worst).length}/${states.length}` : "";
  return { state: retrying ? "retry" : worst, words: share, tries };
}
