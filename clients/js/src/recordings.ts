import type { Api } from "./api.js";

/** A recorded file, as the API lists it. */
export type RecordingView = Awaited<ReturnType<typeof listed>>[number];

/** The recorded files of a stream manager. */
export class Recordings {
  /** @internal */
  constructor(private readonly api: Api) {}

  /** Return the recordings, the newest first. */
  async list(): Promise<RecordingView[]> {
    return listed(this.api);
  }

  /** Return the content of a recording, by the `file` of its hook or of the list. */
  async read(file: string): Promise<Uint8Array> {
    const answer = await this.api.request("GET", "/api/v1/recordings/{file}", { path: { file } });
    return new Uint8Array(await answer.arrayBuffer());
  }

  /** Delete a recording. */
  async delete(file: string): Promise<void> {
    await this.api.delete("/api/v1/recordings/{file}", { path: { file } });
  }
}

async function listed(api: Api) {
  return (await api.get("/api/v1/recordings")).recordings;
}
