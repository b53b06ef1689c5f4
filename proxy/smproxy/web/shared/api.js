/* Requests to the API. The admin token lives in this module's memory, as long as the page does, and nowhere else. */

let token = "";

/** An answer that is an error, with its HTTP status. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Use this token from now on. */
export function setToken(value) {
  token = value;
}

/** The headers that authorize a request. */
export function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Send a request; returns the response. Raises `ApiError` with the server's message. */
export async function request(path, { method = "GET", body } = {}) {
  const headers = authorization();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, "The stream manager does not answer.");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new ApiError(
    response.status,
    answer.errorMessage ?? `The stream manager answered with HTTP ${response.status}.`,
  );
}

/** Send a request; returns the JSON of the answer. */
export async function json(path, options) {
  return (await request(path, options)).json();
}
