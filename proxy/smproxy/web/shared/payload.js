/* A message as text: JSON, indented, with the lines of an SDP as lines. */

import { h } from "./dom.js";
import { redacted } from "./redact.js";

function lines(value, indent) {
  const inner = `${indent}  `;
  if (typeof value === "string" && /\r?\n./.test(value)) {
    const rows = value.split(/\r?\n/).filter(Boolean);
    return `"""\n${rows.map((row) => inner + row).join("\n")}\n${indent}"""`;
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const list = Array.isArray(value);
  const parts = Object.entries(value).map(
    ([key, item]) => inner + (list ? "" : `${JSON.stringify(key)}: `) + lines(item, inner),
  );
  if (parts.length === 0) return list ? "[]" : "{}";
  return `${list ? "[" : "{"}\n${parts.join(",\n")}\n${indent}${list ? "]" : "}"}`;
}

/** Make a block that shows a message. */
export function payload(value) {
  const text = typeof value === "string" ? value : lines(redacted(value), "");
  return h("pre", { class: "payload", tabindex: "0" }, text);
}
