/* No secret is shown, wherever it comes from. The server has taken them out already; this is the second lock. */

const SECRETS = new Set(["password", "token", "accesstoken", "secret"]);
export const HIDDEN = "••••••";

/** Copy a JSON value with the values of secret keys hidden. */
export function redacted(value) {
  if (Array.isArray(value)) return value.map(redacted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRETS.has(key.toLowerCase()) && inner !== null && inner !== undefined ? HIDDEN : redacted(inner),
    ]),
  );
}

/** A URL for people's eyes: secret parameters hidden, the rest as it is sent. */
export function shownUrl(url) {
  return url.replace(/([?&])([^=&]+)=([^&#]*)/g, (whole, mark, key, value) =>
    SECRETS.has(key.toLowerCase()) && value !== "undefined" ? `${mark}${key}=${HIDDEN}` : whole,
  );
}
