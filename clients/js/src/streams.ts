import type { Api, Schemas } from "./api.js";

/** A live stream, as the API shows it. */
export type StreamView = Schemas["StreamView"];

/** The live streams of a stream manager. */
export class Streams {
  /** @internal */
  constructor(private readonly api: Api) {}

  /** Return the live streams, with the numbers of their media. */
  async list(): Promise<StreamView[]> {
    return (await this.api.get("/api/v1/streams")).streams;
  }

  /** Return one live stream. */
  async get(name: string, scope = "live"): Promise<StreamView> {
    return this.api.get("/api/v1/streams/{scope}/{name}", { path: { scope, name } });
  }

  /** Return the last key frame of a live stream, as PNG. */
  async thumbnail(name: string, scope = "live"): Promise<Uint8Array> {
    const answer = await this.api.request("GET", "/api/v1/streams/{scope}/{name}/thumbnail.png", { path: { scope, name } });
    return new Uint8Array(await answer.arrayBuffer());
  }
}
