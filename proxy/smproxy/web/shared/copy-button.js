/* A button that copies a text to the clipboard. */

import { h, setText } from "./dom.js";

const SHOWN_MS = 1500;

/* Pages without https, other than localhost, have no clipboard of their own: there a selection is copied. */
function copySelected(text) {
  const area = h("textarea", { class: "hidden", value: text, readonly: true });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** Make a button that copies what `text()` returns; `what` names it, `label` is what it shows. */
export function copyButton(what, text, label = "Copy") {
  const name = { "aria-label": `Copy ${what}`, title: `Copy ${what}` };
  const button = h("button", { type: "button", class: "copy", ...name }, label);
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    setText(button, (await copy(text())) ? "Copied" : "Not copied");
    setTimeout(() => setText(button, label), SHOWN_MS);
    button.focus();
  });
  return button;
}
