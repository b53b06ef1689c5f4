/* States as small labels: a word, and a colour that repeats it. */

import { h, setText } from "../shared/dom.js";

const KIND = {
  connecting: "warn",
  connected: "live",
  live: "live",
  reconnecting: "warn",
  failed: "bad",
  delivered: "live",
  delivering: "live",
  "up to date": "live",
  on: "warn",
  pending: "warn",
  retry: "warn",
  retrying: "warn",
  failing: "bad",
  dead: "bad",
  disabled: "bad",
};

/** Make a label. */
export function stateTag(state = "") {
  return setStateTag(h("span", { class: "tag" }), state);
}

/** Set the state of a label. */
export function setStateTag(element, state) {
  setText(element, state);
  element.dataset.state = KIND[state] ?? "";
  return element;
}

/** Sum up the deliveries of a hook: the worst state, for how many of the receivers, and the most tries. */
export function deliverySummary(hook) {
  const states = [...hook.deliveries.values()].map(({ state }) => state);
  if (!states.length) return { state: "", share: "" };
  const tries = Math.max(...[...hook.deliveries.values()].map((each) => each.tries));
  const worst = ["dead", "pending", "delivered", "skipped"].find((state) => states.includes(state)) ?? states[0];
  const retrying = worst === "pending" && tries > 0;
  const share = states.length > 1 ? ` ${states.filter((state) => state === worst).length}/${states.length}` : "";
  return { state: retrying ? "retry" : worst, share, tries };
}
