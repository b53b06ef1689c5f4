import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StreamManagerError } from "./errors.js";

/** One question of the stream manager, or its notice that a session ended. */
export interface AuthCall {
  kind: "validate" | "invalidate";
  /** What came, with the credentials. */
  body: Record<string, unknown>;
  username: string;
  stream: string;
}

interface Answering {
  /** Users that are denied; `null`: everybody. */
  denied: ReadonlySet<string> | null;
  status: number;
  body?: string;
  delay: number;
  more: Record<string, unknown>;
}

const ALLOWING: Answering = { denied: new Set(), status: 200, delay: 0, more: {} };

/** An authentication back end on a free loopback port, which allows everybody at first; see docs/authentication.md. */
export class AuthBackEnd {
  /** Everything that came, in the order of arrival. */
  readonly calls: AuthCall[] = [];
  private answering = ALLOWING;

  private constructor(
    private readonly server: Server,
    /** The base URL, for `--auth-uri`. */
    readonly url: string,
  ) {}

  /** Listen on a free port. */
  static async start(): Promise<AuthBackEnd> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    server.unref();
    const backEnd = new AuthBackEnd(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on("request", (request, response) => void backEnd.handle(request, response));
    return backEnd;
  }

  /** Allow everybody, at once; `answer` are more keys of the answer, such as `url`. */
  allow(answer: Record<string, unknown> = {}): void {
    this.answering = { ...ALLOWING, more: answer };
  }

  /** Deny these users, or everybody. */
  deny(...usernames: string[]): void {
    this.answering = { ...this.answering, denied: usernames.length > 0 ? new Set(usernames) : null };
  }

  /** Answer every question with this status, and this body if there is one. */
  answer({ status = 200, body }: { status?: number; body?: string }): void {
    this.answering = { ...this.answering, status, ...(body === undefined ? {} : { body }) };
  }

  /** Answer so many milliseconds later. */
  delay(milliseconds: number): void {
    this.answering = { ...this.answering, delay: milliseconds };
  }

  /** Forget the calls, and allow everybody again. */
  reset(): void {
    this.calls.length = 0;
    this.answering = ALLOWING;
  }

  /** @internal */
  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const kind = { "/validateCredentials": "validate", "/invalidateCredentials": "invalidate" }[request.url ?? ""];
    if (kind === undefined) {
      response.writeHead(404).end();
      return;
    }
    const body = await read(request);
    const call = { kind, body, username: String(body["username"] ?? ""), stream: String(body["streamID"] ?? "") } as AuthCall;
    this.calls.push(call);
    if (kind === "invalidate") return send(response, 200, '{"result": true}');
    const { denied, status, body: text, delay, more } = this.answering;
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay).unref());
    if (text !== undefined || status !== 200) return send(response, status, text ?? "");
    const allowed = denied !== null && !denied.has(call.username);
    send(response, 200, JSON.stringify({ result: allowed, ...(allowed ? more : {}) }));
  }
}

/** What `auth` is where the stream manager was not started with a back end of ours. */
export function noAuthBackEnd(): never {
  throw new StreamManagerError(
    "this stream manager asks no back end of the test: start it with StreamManager.start({ authBackEnd: true })",
  );
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(body);
}

async function read(request: IncomingMessage): Promise<Record<string, unknown>> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
