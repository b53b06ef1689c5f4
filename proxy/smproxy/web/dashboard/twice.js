/* A button that does what cannot be undone: the first press asks, the second does it. */

import { h, setText } from "../shared/dom.js";

const ARMED_MS = 4000;

/** Make the button. */
export function twice(words, sure, act) {
  let timer = null;
  const calm = () => {
    clearTimeout(timer);
    timer = null;
    setText(button, words);
  };
  const button = h("button", { type: "button", class: "danger", onblur: calm }, words);
  button.addEventListener("click", () => {
    if (timer !== null) {
      calm();
      act();
      return;
    }
    setText(button, sure);
    timer = setTimeout(calm, ARMED_MS);
  });
  return button;
}
