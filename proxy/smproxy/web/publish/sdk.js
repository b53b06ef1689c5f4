/* Publishing with the vendor's SDK, when the user has named its file. */

const SETTLE_MS = 20_000;

let loaded = null;

/** Load the SDK. */
export function loadSdk(address) {
  loaded ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", () => {
      if (window.red5prosdk?.RTCPublisher) resolve();
      else reject(new Error(`${address} is no SDK with an RTCPublisher: give --sdk-file the file red5pro-sdk.min.js.`));
    });
    script.addEventListener("error", () => reject(new Error(`The SDK at ${address} cannot be loaded.`)));
    document.head.append(script);
  });
  return loaded;
}

function within(promise, what) {
  const late = new Promise((_, reject) =>
    setTimeout(() => reject(new Error(`The SDK did not ${what} in time.`)), SETTLE_MS),
  );
  return Promise.race([promise, late]);
}

function reasonText(reason) {
  if (typeof reason === "string") return reason;
  return reason?.message ?? reason?.type ?? "The SDK gave no reason.";
}

/** The same as the page's own publisher, with the SDK doing the work. */
export class SdkPublisher {
  #options;
  #publisher = null;
  #live = false;

  constructor(options) {
    this.#options = options;
  }

  get peer() {
    return this.#publisher.getPeerConnection();
  }

  async start() {
    const { host, stream, mode, media, params, onStep, onMessage, onEnd } = this.#options;
    const { hostname, port, protocol } = new URL(`${location.protocol}//${host}`);
    const secure = protocol === "https:";
    await loadSdk();
    this.#publisher = new window.red5prosdk.RTCPublisher();
    this.#publisher.on("*", (event) => {
      onMessage({ sender: "sdk", message: { type: event.type } });
      if (event.type === "Publisher.Connection.Closed" && this.#live) onEnd("The connection was closed.");
    });
    onStep("connect");
    try {
      const config = {
        protocol: secure ? "wss" : "ws",
        host: hostname,
        port: Number(port) || (secure ? 443 : 80),
        app: "streammanager",
        streamName: stream,
        streamMode: mode,
        mediaElementId: "video",
        rtcConfiguration: { iceServers: [], iceTransportPolicy: "all" },
        iceServers: [],
        connectionParams: params,
        onGetUserMedia: () => Promise.resolve(media),
      };
      await within(this.#publisher.init(config), "open its media");
      onStep("negotiate");
      await within(this.#publisher.publish(), "publish");
    } catch (reason) {
      throw new Error(reasonText(reason), { cause: reason });
    }
    this.#live = true;
    onStep("live");
  }

  async stop() {
    const live = this.#live;
    this.#live = false;
    if (live) await within(this.#publisher.unpublish(), "unpublish").catch(() => {});
  }
}
