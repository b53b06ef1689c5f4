import { ApiError, StreamManagerError } from "./errors.js";
import type { components, paths } from "./generated/api.js";

/** What the API takes and answers, by the names in its OpenAPI document. */
export type Schemas = components["schemas"];

type Method = "get" | "post" | "delete";
type PathOf<M extends Method> = { [P in keyof paths]: paths[P][M] extends object ? P : never }[keyof paths] & string;
type Operation<M extends Method, P extends PathOf<M>> = NonNullable<paths[P][M]>;
type Json<R> = R extends { content: { "application/json": infer J } } ? J : never;
type Success = 200 | 201 | 204;
type Answer<O> = O extends { responses: infer R }
  ? { [S in keyof R & Success]: S extends 204 ? undefined : Json<R[S]> }[keyof R & Success]
  : never;
type Query<O> = O extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;
type Variables<O> = O extends { parameters: { path: infer V } } ? V : never;
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } } ? B : never;

/** The parts of a request. `timeout`: milliseconds until it is given up. */
export interface RequestParts<V = object, Q = object, B = unknown> {
  path?: V;
  query?: Q;
  body?: B;
  timeout?: number;
}

const TIMEOUT = 30_000;
const PREFIX = "/api/v1";

/** Asks a stream manager over HTTP. Paths, parameters and answers are those of `/api/v1/openapi.json`. */
export class Api {
  /** `explain` says why nobody answers, where that is known. */
  constructor(
    readonly url: string,
    private readonly token?: string,
    private readonly explain: () => string | undefined = () => undefined,
  ) {}

  /** `GET`: `api.get("/api/v1/sessions/{session}", { path: { session } })`. */
  async get<P extends PathOf<"get">>(path: P, parts: PartsOf<"get", P> = {}): Promise<Answer<Operation<"get", P>>> {
    return (await this.json("GET", path, parts)) as Answer<Operation<"get", P>>;
  }

  /** `POST`. */
  async post<P extends PathOf<"post">>(path: P, parts: PartsOf<"post", P> = {}): Promise<Answer<Operation<"post", P>>> {
    return (await this.json("POST", path, parts)) as Answer<Operation<"post", P>>;
  }

  /** `DELETE`. */
  async delete<P extends PathOf<"delete">>(path: P, parts: PartsOf<"delete", P> = {}): Promise<Answer<Operation<"delete", P>>> {
    return (await this.json("DELETE", path, parts)) as Answer<Operation<"delete", P>>;
  }

  /** Return the answer to a request, whatever it is. Throws when it is none of success. */
  async request(method: string, path: string, parts: RequestParts = {}): Promise<Response> {
    const target = filled(path, parts.path ?? {});
    const headers: Record<string, string> = {};
    if (this.token !== undefined) headers["Authorization"] = `Bearer ${this.token}`;
    const init: RequestInit = { method, headers, signal: AbortSignal.timeout(parts.timeout ?? TIMEOUT) };
    if (parts.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(parts.body);
    }
    let response: Response;
    try {
      response = await fetch(this.url + target + written(parts.query ?? {}), init);
    } catch (error) {
      throw new StreamManagerError(this.unanswered(error), { cause: error });
    }
    if (response.ok) return response;
    const text = await response.text();
    throw new ApiError(response.status, `${method} ${target.replace(PREFIX, "")}: ${response.status}: ${said(text)}`);
  }

  private async json(method: string, path: string, parts: RequestParts): Promise<unknown> {
    const response = await this.request(method, path, parts);
    return response.status === 204 ? undefined : response.json();
  }

  private unanswered(error: unknown): string {
    const known = this.explain();
    if (known !== undefined) return known;
    if (error instanceof Error && error.name === "TimeoutError") return `the stream manager at ${this.url} does not answer`;
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
    const why = cause?.code ?? cause?.message ?? String(error);
    return `no stream manager answers at ${this.url} (${why}): StreamManager.start() starts one, as does smproxy serve`;
  }
}

type PartsOf<M extends Method, P extends PathOf<M>> = RequestParts<
  Variables<Operation<M, P>>,
  Query<Operation<M, P>>,
  Body<Operation<M, P>>
>;

/** Return the base URL of what a user gave: `ws://localhost:5080/streammanager` is `http://localhost:5080`. */
export function baseUrl(given: string): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw new StreamManagerError(`${given} is no URL: give one such as http://localhost:5080`);
  }
  const protocol = { "ws:": "http:", "wss:": "https:" }[url.protocol] ?? url.protocol;
  if (protocol !== "http:" && protocol !== "https:") {
    throw new StreamManagerError(`${given} is not the URL of a stream manager: give one such as http://localhost:5080`);
  }
  return `${protocol}//${url.host}`;
}

/** Fill in the variables of a path; scopes and files may have several parts. */
function filled(path: string, variables: object): string {
  const values = new Map<string, unknown>(Object.entries(variables));
  return path.replace(/{(\w+)}/g, (_, name: string) => {
    const value = encodeURIComponent(String(values.get(name)));
    return name === "scope" || name === "file" ? value.replaceAll("%2F", "/") : value;
  });
}

function written(query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))}`;
}

function said(text: string): string {
  try {
    return String((JSON.parse(text) as { errorMessage: unknown }).errorMessage);
  } catch {
    return text.slice(0, 200);
  }
}
