/* A button for what cannot be undone: the first press asks for confirmation, the second acts. */

import { h, setText } from "../shared/dom.js";

const ARMED_MS = 4000;

/** Make a button with this label; it shows `confirmLabel` after the first press. */
export function confirmButton(label, confirmLabel, action) {
  let timer = null;
  const disarm = () => {
    clearTimeout(timer);
    timer = null;
    setText(button, label);
  };
  const button = h("button", { type: "button", class: "danger", onblur: disarm }, label);
  button.addEventListener("click", () => {
    if (timer !== null) {
      disarm();
      action();
      return;
    }
    setText(button, confirmLabel);
    timer = setTimeout(disarm, ARMED_MS);
  });
  return button;
}
