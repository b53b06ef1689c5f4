/* `#/rooms`: what clients share: shared objects, conferences, and the interstitials that are shown or wait. */

import { json } from "../shared/api.js";
import { h } from "../shared/dom.js";
import { count, moment } from "../shared/format.js";
import { payload } from "../shared/payload.js";
import { KeyedList } from "./keyed-list.js";
import { ProblemLine } from "./problem-line.js";
import { throttle } from "./throttle.js";

const REFRESH_MS = 1500;
/* None of these comes with the feed. */
const EVERY_S = 3;

function sessionLinks(numbers) {
  return numbers.flatMap((number, at) => [at ? ", " : "", h("a", { href: `#/sessions/${number}` }, String(number))]);
}

function cell(label, ...children) {
  return h("td", { "data-label": label }, ...children);
}

function sharedObject({ name, scope, customerScope, version, members, properties }) {
  const shown = Object.keys(properties).length ? h("details", {}, h("summary", {}, `${count(Object.keys(properties).length)} properties`), payload(properties)) : "";
  return h(
    "tr",
    {},
    h("th", { scope: "row", class: "code" }, name),
    cell("Scope", scope),
    cell("Customer scope", customerScope ?? ""),
    cell("Version", count(version)),
    cell("Members", ...sessionLinks(members)),
    cell("", shown),
  );
}

function conference({ conferenceId, customerScope, participants }) {
  const people = participants.map(({ displayName, role, streamGuid }) =>
    h("li", {}, [displayName, role, streamGuid].filter(Boolean).join(" · ")),
  );
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, String(conferenceId)),
    cell("Customer scope", customerScope ?? ""),
    cell("Participants", h("ul", { class: "plain" }, ...people)),
  );
}

function interstitial({ id, target, interstitial: inserted, audio, video, state, startsAt, endsAt }) {
  const kinds = [audio && "audio", video && "video"].filter(Boolean).join(", ");
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, String(id)),
    cell("In", target),
    cell("Shown", `${inserted} (${kinds})`),
    cell("State", state),
    cell("From", startsAt === null ? "now" : moment(startsAt)),
    cell("Until", endsAt === null ? "it is resumed" : moment(endsAt)),
  );
}

const PARTS = [
  {
    title: "Shared objects",
    path: "/api/v1/shared-objects",
    list: ({ sharedObjects }) => sharedObjects,
    key: ({ name, scope, customerScope }) => JSON.stringify([name, scope, customerScope]),
    make: sharedObject,
    columns: ["Name", "Scope", "Customer scope", "Version", "Members", "Properties"],
    none: "No client has joined a shared object.",
  },
  {
    title: "Conferences",
    path: "/api/v1/conferences",
    list: ({ conferences }) => conferences,
    key: ({ conferenceId, customerScope }) => JSON.stringify([conferenceId, customerScope]),
    make: conference,
    columns: ["Conference", "Customer scope", "Participants"],
    none: "Nobody is in a conference.",
  },
  {
    title: "Interstitials",
    path: "/api/v1/interstitials",
    list: ({ interstitials }) => interstitials,
    key: ({ id, target }) => `${id} ${target}`,
    make: interstitial,
    columns: ["Number", "In", "Shown", "State", "From", "Until"],
    none: "No interstitial is shown or waits.",
  },
];

/* One list with its heading. */
class Part {
  #path;
  #list;
  #rows;
  #table;
  #none;
  #problem = new ProblemLine();
  element;

  constructor({ title, path, list, key, make, columns, none }) {
    this.#path = path;
    this.#list = list;
    const body = h("tbody");
    const header = h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)));
    this.#rows = new KeyedList(body, { make, key });
    this.#table = h("div", { class: "scroll", hidden: true }, h("table", { class: "cards" }, h("thead", {}, header), body));
    this.#none = h("p", { class: "empty-line" }, none);
    const children = [h("h2", {}, title), this.#problem.element, this.#table, this.#none];
    this.element = h("section", { class: "panel", "aria-label": title }, ...children);
  }

  async load() {
    await this.#problem.run(async () => {
      const items = this.#list(await json(this.#path));
      this.#table.hidden = items.length === 0;
      this.#none.hidden = items.length > 0;
      this.#rows.set(items);
    });
  }
}

/** The view. */
export class RoomsView {
  #parts = PARTS.map((part) => new Part(part));
  #seconds = 0;
  #refresh = throttle(() => Promise.all(this.#parts.map((part) => part.load())), REFRESH_MS);
  element;

  constructor() {
    this.element = h("div", {}, ...this.#parts.map(({ element }) => element));
    this.#refresh.run();
  }

  update(topics) {
    this.#seconds += topics.has("second") ? 1 : 0;
    const due = this.#seconds >= EVERY_S && !document.hidden;
    if (due) this.#seconds = 0;
    if (due || topics.has("sessions") || topics.has("ready")) this.#refresh.run();
  }

  destroy() {
    this.#refresh.stop();
  }
}
