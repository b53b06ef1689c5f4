const PLAIN = /^[^\p{C}\p{Z}]+$/u;
const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

/** Write a value of an expectation or a hook, in bounded length, as the messages of the pytest plugin do. */
export function shown(value: unknown): string {
  const text = typeof value === "string" && PLAIN.test(value) ? value : literal(value);
  return cut(text, 80);
}

/** Shorten a text to so many characters. */
export function cut(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 3).join("")}...`;
}

function literal(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "function") return `<${value.name || "function"}>`;
  if (value instanceof RegExp) return String(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    if ("asymmetricMatch" in value) return String(value);
    return `{${Object.entries(value)
      .map(([name, each]) => `${quoted(name)}: ${literal(each)}`)
      .join(", ")}}`;
  }
  return String(value);
}

/** Write a string in quotes; what cannot be printed is escaped. */
export function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replace(/[\p{C}\p{Z}\\'"]/gu, (character) => {
    if (character === " ") return character;
    if (character === "'" || character === '"') return character === quote ? `\\${character}` : character;
    return ESCAPES[character] ?? escaped(character.codePointAt(0) ?? 0);
  });
  return quote + inner + quote;
}

function escaped(code: number): string {
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(digits as number, "0")}`;
}
