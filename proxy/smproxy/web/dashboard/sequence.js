/* The sequence diagram of a session: each message at its time, its content on click. */

import { json, request } from "../shared/api.js";
import { h, setChildren, setText } from "../shared/dom.js";
import { moment, count, duration } from "../shared/format.js";
import { payload } from "../shared/payload.js";
import { nameOf } from "../shared/signaling-log.js";
import { receiverLabel } from "../shared/labels.js";
import { throttle } from "./throttle.js";

const LANES = ["client", "proxy", "origin", "hooks"];
const REFRESH_MS = 500;
/* How often it is loaded again without a hook as the reason. */
const OFTEN_MS = 1500;
const SELDOM_MS = 6000;
/* Rows in the page; the older ones are a click away. */
const SHOWN = 300;

function ofFrame(frame) {
  const to = frame.from === "client" ? "origin" : "client";
  const base = { at: frame.at, kind: "signaling", from: frame.from, to, via: frame.via };
  if (frame.omitted)
    return { ...base, title: `${count(frame.omitted)} frames were not kept`, content: null, note: true };
  if (frame.close) {
    const { code, reason } = frame.close;
    return { ...base, title: `close ${code ?? ""} ${reason ?? ""}`.trim(), content: frame.close };
  }
  if (frame.via === "auth") {
    const { scheme, result } = frame.message;
    return { ...base, to: "authentication", title: `${scheme}: ${result}`, content: frame.message, note: true };
  }
  const title = frame.message
    ? nameOf(frame.message)
    : frame.text === null
      ? "binary message"
      : String(frame.text).slice(0, 60);
  return { ...base, title, content: frame.message ?? frame.text };
}

function ofEntry(entry) {
  return { ...entry, content: entry.detail || null, note: entry.kind === "delivery" || entry.kind === "fault" };
}

/* Of the attempts to deliver a hook to a sink only the last is of interest here: the hook's own page has all. */
function lastAttempts(entries) {
  const last = new Map(
    entries.filter(({ kind }) => kind === "delivery").map((entry) => [`${entry.title} ${entry.to}`, entry]),
  );
  return entries.filter((entry) => entry.kind !== "delivery" || last.get(`${entry.title} ${entry.to}`) === entry);
}

/** Merge frames and the other entries of the timeline, in the order of time. */
function mergeEntries(lines, entries) {
  const frames = lines
    .split("\n")
    .filter(Boolean)
    .map((line) => ofFrame(JSON.parse(line)));
  const others = lastAttempts(entries.filter(({ kind }) => kind !== "signaling")).map(ofEntry);
  return [...frames, ...others].sort((a, b) => a.at - b.at);
}

/** The section of the diagram. */
export class Sequence {
  #number;
  #rows = h("ol", { class: "messages" });
  #none = h("p", { class: "empty-line" }, "No messages yet.");
  #more = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.#showAll() });
  #kept = new Map();
  #limit = SHOWN;
  #last = [];
  #loadedAt = -Infinity;
  #refresh = throttle(() => this.#load(), REFRESH_MS);
  element;

  constructor(number) {
    this.#number = number;
    const heads = LANES.map((lane) => h("span", {}, lane));
    this.element = h(
      "section",
      { class: "sequence" },
      h("h3", {}, "Sequence"),
      this.#none,
      h("div", { class: "lanes", "aria-hidden": "true" }, h("span"), h("div", {}, ...heads)),
      this.#more,
      this.#rows,
    );
  }

  /** Load it again. */
  refresh() {
    this.#refresh.run();
  }

  /** Load it again unless that was done lately: a long one less often. */
  refreshIfStale() {
    if (performance.now() - this.#loadedAt > (this.#last.length > SHOWN ? SELDOM_MS : OFTEN_MS)) this.#refresh.run();
  }

  destroy() {
    this.#refresh.stop();
  }

  async #load() {
    this.#loadedAt = performance.now();
    try {
      const [lines, timeline] = await Promise.all([
        request(`/api/v1/sessions/${this.#number}/frames`).then((response) => response.text()),
        json(`/api/v1/sessions/${this.#number}/timeline`),
      ]);
      this.#last = mergeEntries(lines, timeline.entries);
      this.#draw();
    } catch (error) {
      this.#none.hidden = this.#last.length > 0;
      setText(this.#none, error.message);
    }
  }

  #showAll() {
    this.#limit = Infinity;
    this.#draw();
  }

  #draw() {
    const all = this.#last;
    const shown = all.slice(-this.#limit);
    this.#none.hidden = all.length > 0;
    this.#more.hidden = shown.length === all.length;
    setText(this.#more, `Show ${count(all.length - shown.length)} earlier messages`);
    // What is there stays: an open message is not closed by the next one that passes.
    const kept = new Map();
    const rows = shown.map((entry) => {
      let key = `${entry.at} ${entry.kind} ${entry.from} ${entry.title} ${entry.note ? entry.detail : ""}`;
      while (kept.has(key)) key += "+"; // the same again within a millisecond
      const row = this.#kept.get(key) ?? this.#row(entry, all[0].at);
      kept.set(key, row);
      return row;
    });
    this.#kept = kept;
    setChildren(this.#rows, rows);
  }

  #row(entry, start) {
    const [from, to] = [LANES.indexOf(entry.from), LANES.indexOf(entry.to)];
    const after = `+${duration(entry.at - start)}`;
    const content = entry.note ? this.#note(entry) : this.#arrow(entry, from, to < 0 ? 3 : to);
    const head = [h("time", { class: "num muted", title: moment(entry.at) }, after), content];
    const spoken = `${moment(entry.at)}, ${entry.from} to ${entry.to}: ${entry.title}`;
    if (entry.content === null)
      return h("li", { "data-kind": entry.kind }, h("div", { class: "message", "aria-label": spoken }, ...head));
    const button = h(
      "button",
      { type: "button", class: "message", "aria-expanded": "false", "aria-label": spoken },
      ...head,
    );
    const item = h("li", { "data-kind": entry.kind }, button);
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) item.lastElementChild.remove();
      else item.append(payload(entry.content));
    });
    return item;
  }

  #arrow({ title, via }, from, to) {
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    const line = h("span", { class: `arrow ${to > from ? "right" : "left"}${via === "channel" ? " channel" : ""}` });
    line.style.gridColumn = `${2 * left + 2} / ${2 * right + 2}`;
    const label = h("span", { class: "title" }, title);
    label.style.gridColumn = `${2 * left + 2} / -1`;
    return h("span", { class: "track" }, label, line);
  }

  #note({ kind, title, detail, to }) {
    const text =
      kind === "delivery"
        ? `${title} → ${receiverLabel(to)}: ${detail}`
        : kind === "fault"
          ? `${title} ${detail ?? ""}`
          : title;
    const failed = kind === "delivery" && !detail.startsWith("delivered");
    return h("span", { class: "track" }, h("span", { class: failed ? "note bad" : "note" }, text));
  }
}
