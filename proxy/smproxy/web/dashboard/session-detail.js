/* One session: its facts, its media, its messages and its hooks. */

import { json, request } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { count, duration, moment } from "../shared/format.js";
import { copyButton } from "../shared/copy-button.js";
import { payload } from "../shared/payload.js";
import { endingText } from "../shared/labels.js";
import { ProblemLine } from "./problem-line.js";
import { stateTag, setStateTag } from "./state-tags.js";
import { Sequence } from "./sequence.js";
import { lasted } from "./session-list.js";
import { SessionHooks } from "./session-hooks.js";
import { LIVE } from "./store.js";
import { Tracks } from "./tracks.js";
import { confirmButton } from "./confirm-button.js";

/* So long after its end no more messages come. */
const SETTLED_MS = 5000;

/* What one pastes into a command or a search. */
const COPIED = new Set(["Session", "Signed URL", "Address"]);

/* What was decided: "round-trip: allowed in 3 ms", "jwt: denied in 0 ms, the token has expired". */
function authenticationText(verdict) {
  if (!verdict) return "";
  const why = verdict.reason ? `, ${verdict.reason}` : "";
  return `${verdict.scheme}: ${verdict.result} in ${duration(verdict.tookMs)}${why}`;
}

function factsOf(session) {
  const connected = session.connectedAt === null ? "–" : `after ${duration(session.connectedAt - session.startedAt)}`;
  return {
    Session: session.session,
    Role: session.role,
    Stream: session.stream && session.stream !== session.id ? session.stream : "",
    Scope: session.scope ?? session.app,
    "Customer scope": session.customerScope,
    User: session.username,
    Origin: session.origin,
    Node: session.node,
    Address: session.remoteIp,
    Started: moment(session.startedAt),
    Connected: connected,
    Ended: session.endedAt === null ? "" : moment(session.endedAt),
    Recording: session.recording ? "asked for" : "",
    Authentication: authenticationText(session.authentication),
    Lifetime: session.authentication?.lifetime ? duration(session.authentication.lifetime * 1000) : "",
    "Signed URL": session.authentication?.url,
    Hooks: count(session.hooks),
    Faults: session.faults.join(", "),
    Client: session.userAgent,
  };
}

/** The panel of one session; `number` says which. */
export class SessionDetail {
  #store;
  #state = stateTag();
  #title = h("h2", { tabindex: "-1" });
  #lasted = h("span", { class: "num muted" });
  #ending = h("p", { class: "ending", hidden: true });
  #problem = new ProblemLine();
  #facts = h("dl", { class: "facts" });
  #meta = h("div", {});
  #watch = h("a", { class: "button", hidden: true }, "Watch");
  #hls = h("a", { class: "button", hidden: true, title: "The playlist, for players of HLS" }, "HLS");
  #disconnectButton;
  #tracks;
  #sequence;
  #hooks;
  #gone = h(
    "p",
    { class: "empty-line", hidden: true },
    "The server was restarted or reset, or has forgotten it because many came since. ",
    h("a", { href: "#/sessions" }, "Show all sessions"),
  );
  #parts;
  #shown = "";
  element;

  constructor(store, number) {
    this.number = number;
    this.#store = store;
    this.#disconnectButton = confirmButton("Disconnect", "Disconnect now", () => this.#disconnect());
    this.#tracks = new Tracks(store, number);
    this.#sequence = new Sequence(number);
    this.#hooks = new SessionHooks(store, number);
    const save = h("button", { type: "button", onclick: () => this.#save() }, "Save frames");
    const title = "What was captured, for Wireshark; of a live session also the next five seconds";
    const packets = h("button", { type: "button", title }, "Save packets");
    packets.onclick = () => this.#savePackets(packets);
    const actions = h("span", { class: "actions" }, this.#watch, this.#hls, save, packets, this.#disconnectButton);
    const body = h(
      "div",
      {},
      this.#ending,
      this.#problem.element,
      this.#facts,
      this.#meta,
      this.#tracks.element,
      this.#sequence.element,
      this.#hooks.element,
    );
    this.#parts = [this.#state, this.#lasted, actions, body];
    this.element = h(
      "article",
      { class: "panel detail", "aria-label": "Session" },
      h("a", { class: "back", href: "#/sessions" }, "All sessions"),
      h("header", {}, this.#title, this.#state, this.#lasted, actions),
      this.#gone,
      body,
    );
    this.update(new Set([number]));
  }

  update(topics) {
    const session = this.#store.sessions.get(this.number);
    if (!session) {
      const gone = this.#store.connection === "live";
      setText(this.#title, gone ? `Session ${this.number} is not known` : "Loading…");
      this.#gone.hidden = !gone;
      for (const part of this.#parts) part.hidden = true;
      return;
    }
    this.#gone.hidden = true;
    for (const part of this.#parts) part.hidden = false;
    setText(this.#lasted, duration(lasted(session, this.#store.now())));
    // Most messages come with a hook, but not all, nor do the last ones.
    const over = session.endedAt !== null && this.#store.now() - session.endedAt > SETTLED_MS;
    if (topics.has("second") && !over && !document.hidden) this.#sequence.refreshIfStale();
    if (!topics.has(this.number) && !topics.has("ready")) return;
    this.#draw(session);
    this.#tracks.update();
    this.#hooks.update();
    if (topics.has("hooks") || topics.has("sessions") || topics.has("ready") || this.#shown === "")
      this.#sequence.refresh();
    this.#shown = session.state;
  }

  destroy() {
    this.#sequence.destroy();
    this.#tracks.destroy();
  }

  #draw(session) {
    setText(this.#title, session.id ?? `Session ${session.session}`);
    setStateTag(this.#state, session.state);
    const live = LIVE.has(session.state);
    this.#disconnectButton.hidden = !live;
    this.#watch.hidden = !(session.role === "publisher" && session.state === "connected");
    this.#hls.hidden = this.#watch.hidden;
    const query = new URLSearchParams({
      stream: session.stream ?? session.id ?? "",
      app: session.scope ?? session.app ?? "live",
    });
    if (session.customerScope) query.set("customerScope", session.customerScope);
    this.#watch.href = `/subscribe?${query}`;
    const path = `${query.get("app")}/${query.get("stream")}`.split("/").map(encodeURIComponent).join("/");
    const scoped = session.customerScope ? `?${new URLSearchParams({ customerScope: session.customerScope })}` : "";
    this.#hls.href = `/${path}.m3u8${scoped}`;
    const why = endingText(session);
    this.#ending.hidden = !why;
    setText(this.#ending, `${session.state === "failed" ? "It came to nothing" : "It ended"}: ${why}.`);
    this.#ending.className = session.state === "failed" ? "problem" : "muted ending";
    const facts = Object.entries(factsOf(session)).filter(
      ([, value]) => value !== null && value !== undefined && value !== "",
    );
    const text = JSON.stringify([facts, session.meta]);
    if (text === this.#facts.dataset.text) return;
    this.#facts.dataset.text = text;
    this.#facts.replaceChildren(
      ...facts.map(([name, value]) =>
        h(
          "div",
          { class: name.toLowerCase() },
          h("dt", {}, name, COPIED.has(name) ? copyButton(name.toLowerCase(), () => String(value)) : null),
          h("dd", { title: value }, String(value)),
        ),
      ),
    );
    const meta = session.meta && Object.keys(session.meta).length ? session.meta : null;
    this.#meta.replaceChildren(...(meta ? [h("h3", {}, "Meta"), payload(meta)] : []));
  }

  async #disconnect() {
    await this.#problem.run(() => json(`/api/v1/sessions/${this.number}`, { method: "DELETE" }));
  }

  #save() {
    return this.#download("frames?header=true", "jsonl");
  }

  /** What was captured so far, and of a live session the next five seconds. */
  async #savePackets(button) {
    button.disabled = true;
    try {
      await this.#download(this.#store.sessions.get(this.number)?.endedAt ? "capture.pcapng" : "capture.pcapng?seconds=5", "pcapng");
    } finally {
      button.disabled = false;
    }
  }

  async #download(path, ending) {
    await this.#problem.run(async () => {
      const blob = await (await request(`/api/v1/sessions/${this.number}/${path}`)).blob();
      const href = URL.createObjectURL(blob);
      h("a", { href, download: `session-${this.number}.${ending}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10_000);
    });
  }
}
