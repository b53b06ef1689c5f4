/* No secret is shown: the rules of the server's redaction (signaling/secret_names.py, secret_values.py), for what a page itself sends and gets. */

const SECRET = new RegExp(
  "(?<!com)(?<!by)pass(?!eng|age|iv|ion|es|ed|ing|thro)|pwd|token|secret(?!ar)|signature|credential|apikey|privatekey|accesskey" +
    "|auth(?!or(?!i[sz]))|jwt|bearer|cookie|^(?:sig|hmac|pin|otp|psk|creds?)$",
);
const HARMLESS = new Set(["icepwd"]);
/* What a page did not have is shown: it is what somebody looks for. */
const NOTHING = new Set(["", "undefined", "null", "[object Object]"]);
const LAYERS = 4;
export const HIDDEN = "••••••";

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether a value of this name is not to be shown. */
export function isSecret(name) {
  for (let layer = 0; layer < LAYERS && name.includes("%"); layer += 1) name = unescaped(name);
  const letters = name.replace(/\\+u([0-9a-f]{4})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)));
  const plain = letters
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "");
  return SECRET.test(plain) && !HARMLESS.has(plain);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function redactedText(text, layers) {
  if (/^\s*[[{]/.test(text) && layers > 0) {
    const value = parsed(text);
    if (value !== undefined) return JSON.stringify(redacted(value, layers - 1));
  }
  return text
    .replace(/(?<=:\/\/)[^\s/?#"'<>]*@/g, `${HIDDEN}@`)
    .replace(/([\w.%-]+)(=)([^\s&#"'<>]+)/g, (whole, name, equals) =>
      isSecret(name) ? `${name}${equals}${HIDDEN}` : whole,
    );
}

/** Copy a JSON value: what a secret name stands for is hidden, with all that it holds. */
export function redacted(value, layers = LAYERS) {
  if (Array.isArray(value)) return value.map((inner) => redacted(inner, layers));
  if (typeof value === "string") return redactedText(value, layers);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const nothing = inner === null || inner === undefined || NOTHING.has(inner);
      return [name, isSecret(name) && !nothing ? HIDDEN : redacted(inner, layers)];
    }),
  );
}

/** A URL for people's eyes: secrets hidden, the rest as it is sent. */
export function shownUrl(url) {
  const [path, ...query] = url.split("?");
  const pairs = query
    .join("?")
    .split("&")
    .map((pair) => {
      const [name, ...rest] = pair.split("=");
      const value = unescaped(rest.join("="));
      if (NOTHING.has(value)) return pair;
      if (isSecret(name)) return `${name}=${HIDDEN}`;
      const bare = name === "host" ? value.replace(/^.*@/s, `${HIDDEN}@`) : value;
      const shown = redactedText(bare, LAYERS);
      return shown === value
        ? pair
        : `${name}=${encodeURIComponent(shown).replaceAll(encodeURIComponent(HIDDEN), HIDDEN)}`;
    });
  return redactedText(path, 0) + (query.length ? `?${pairs.join("&")}` : "");
}
