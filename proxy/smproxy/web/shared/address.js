/* Where the stream manager is, and the addresses that are made of it. */

const secure = () => location.protocol === "https:";

/** The WebSocket address of a path at a host. */
export function socketAddress(host, path) {
  return `${secure() ? "wss" : "ws"}://${host}/${path}`;
}

/** The stream manager's webhook socket. */
export function webhookAddress(host, app) {
  return socketAddress(host, `${app.split("/")[0] || "live"}/webhook`);
}

/** The proxy's address. A parameter without a value is sent as `undefined`, as the SDK sends it. */
export function proxyAddress(host, params) {
  const query = Object.entries(params).map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return `${socketAddress(host, "streammanager")}?${query.join("&")}`;
}

/** The address of a WHIP or WHEP endpoint; `protocol` says which. A parameter without a value is left out. */
export function endpointAddress(protocol, host, app, stream, params) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined));
  const path = [...app.split("/"), protocol, "endpoint", stream].map(encodeURIComponent).join("/");
  return `${secure() ? "https" : "http"}://${host}/${path}?${query}`;
}

/** Ask the stream manager for the origin of a stream. `action` is `broadcast` or `subscribe`. */
export async function askOrigin(host, app, stream, action) {
  const path = app.split("/").map(encodeURIComponent).join("/");
  const base = `${secure() ? "https" : "http"}://${host}/streammanager/api/4.0/event`;
  let response;
  try {
    response = await fetch(`${base}/${path}/${encodeURIComponent(stream)}?action=${action}`);
  } catch {
    throw new Error(`No stream manager answers at ${host}.`);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok)
    throw new Error(answer.errorMessage ?? `The stream manager at ${host} answered with HTTP ${response.status}.`);
  return { host: answer.serverAddress, app: String(answer.scope ?? app).replace(/^\//, "") };
}
