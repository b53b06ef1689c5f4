/* A link with parameters fills the form; the form makes such a link. A password is in neither. */

import { byId } from "./dom.js";
import { isSecret } from "./redact.js";

const FIELDS = {
  host: "host",
  app: "app",
  stream: "stream",
  username: "username",
  customerScope: "scope",
  meta: "meta",
  webhook: "webhook",
};

/** Fill the form from the page's address; returns what to tell the person, if there is something. */
export function fillFromLink() {
  const params = new Map([...new URLSearchParams(location.search)].map(([key, value]) => [key.toLowerCase(), value]));
  for (const [name, id] of Object.entries(FIELDS)) {
    const value = params.get(name.toLowerCase());
    if (value !== undefined && byId(id)) byId(id).value = value;
  }
  if (params.has("id") && !params.has("stream")) byId("stream").value = params.get("id");
  if (byId("recording") && params.has("recording")) byId("recording").checked = params.get("recording") === "true";
  if (byId("pattern") && params.get("source") === "pattern") byId("pattern").checked = true;
  const transport = [...byId("form").elements.transport].find(({ value }) => value === params.get("transport"));
  if (transport) transport.checked = true;
  const notes = params.has("password") ? [forgetPassword()] : [];
  const elsewhere = strangers();
  if (elsewhere.length)
    notes.push(`The link leads to another server: ${elsewhere.join(", ")}. What you type is sent there after Start.`);
  return notes.join(" ");
}

/* The hosts in the form that are not the one this page came from: whoever made the link has chosen where a password goes. */
function strangers() {
  const hosts = [`//${byId("host").value}`, byId("webhook").value].map((address) =>
    URL.canParse(address, location.href) ? new URL(address, location.href).host : address,
  );
  return [...new Set(hosts)].filter((host) => host && host !== location.host);
}

/* Take a password out of the page's address; returns what to tell the person. */
function forgetPassword() {
  const rest = new URLSearchParams(
    [...new URLSearchParams(location.search)].filter(([key]) => key.toLowerCase() !== "password"),
  );
  history.replaceState(null, "", `${location.pathname}${rest.size ? `?${rest}` : ""}`);
  return "The link held a password. It was taken out of the address and is not used: type it into the form.";
}

/* A URL without secrets in its query: a link may be shown to anybody. */
function withoutSecrets(address) {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  const secrets = [...url.searchParams.keys()].filter(isSecret);
  secrets.forEach((name) => url.searchParams.delete(name));
  return secrets.length ? url.href : address;
}

/** The address of this page with the form's fields. */
export function linkToForm() {
  const params = new URLSearchParams();
  for (const [name, id] of Object.entries(FIELDS)) {
    const field = byId(id);
    if (field && field.value && field.value !== field.dataset.initial)
      params.set(name, name === "webhook" ? withoutSecrets(field.value) : field.value);
  }
  if (byId("recording")?.checked) params.set("recording", "true");
  if (byId("pattern")?.checked) params.set("source", "pattern");
  const transport = byId("form").elements.transport.value;
  if (transport !== "websocket") params.set("transport", transport);
  return `${location.origin}${location.pathname}${params.size ? `?${params}` : ""}`;
}
