/** Something about the stream manager is not as it must be; the message says what, and what to do. */
export class StreamManagerError extends Error {
  override name = "StreamManagerError";
}

/** The stream manager refused a call: `status` is that of HTTP, the message is its own. */
export class ApiError extends StreamManagerError {
  override name = "ApiError";

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Hooks were not as expected. The message holds a table of what came, and how the nearest differs. */
export class HookExpectationError extends Error {
  override name = "HookExpectationError";
}
