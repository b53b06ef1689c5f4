/* The sessions, the newest first: what is looked for on top, the window of rows below. */

import { h, setText } from "../shared/dom.js";
import { bitrate, count, duration } from "../shared/format.js";
import { VirtualList } from "../shared/virtual-list.js";
import { setStateTag, stateTag } from "./state-tags.js";
import { LIVE } from "./store.js";

const COLUMNS = ["State", "Role", "Id", "Scope", "Customer scope", "Origin", "Media", "Duration"];
const STATES = ["connecting", "connected", "reconnecting", "disconnected", "failed"];

export function lasted(session, now) {
  return session.endedAt === null ? now - session.startedAt : session.endedAt - session.startedAt;
}

function rate(session) {
  if (!LIVE.has(session.state) || !session.tracks.length) return "";
  return bitrate(session.tracks.reduce((sum, track) => sum + track.bitrate, 0));
}

function makeRow(store) {
  const state = stateTag();
  const cells = COLUMNS.slice(1).map((name) => h("span", { role: "gridcell", "data-cell": name }));
  const [role, id, scope, customer, origin, media, time] = cells;
  const link = h("a", { tabindex: "-1" });
  id.append(link);
  const element = h("div", {}, h("span", { role: "gridcell", "data-cell": "State" }, state), ...cells);
  const update = (session) => {
    setStateTag(state, session.state);
    setText(role, session.role);
    setText(link, session.id ?? `session ${session.session}`);
    link.href = `#/sessions/${session.session}`;
    link.title = session.id ?? "";
    setText(scope, session.scope ?? session.app ?? "");
    setText(customer, session.customerScope ?? "");
    const via = session.node && session.node !== session.origin ? `via ${session.node}` : "";
    setText(origin, [session.origin, via].filter(Boolean).join(" "));
    setText(media, rate(session));
    setText(time, duration(lasted(session, store.now())));
  };
  return { element, update };
}

function choice(label, values, onchange) {
  const options = [h("option", { value: "" }, `any ${label}`), ...values.map((value) => h("option", { value }, value))];
  return h("select", { "aria-label": label, onchange }, ...options);
}

/** The list with its filters; `select(session)` when one is chosen. */
export class SessionList {
  #store;
  #wanted = { text: "", state: "", role: "" };
  #total = h("span", { class: "muted num total", role: "status" });
  #list;
  element;

  constructor(store, select) {
    this.#store = store;
    const changed = (name) => (event) => {
      this.#wanted[name] = event.target.value.trim().toLowerCase();
      this.update();
    };
    const search = {
      type: "search",
      "aria-label": "Search",
      placeholder: "Id, scope, user, address, number…",
      oninput: changed("text"),
    };
    this.#list = new VirtualList({
      label: "Sessions; the arrow keys move",
      columns: COLUMNS,
      row: () => makeRow(store),
      key: (session) => session.session,
      height: () => (this.#list.element.clientWidth < 720 ? 58 : 36),
      onSelect: select,
    });
    this.element = h(
      "section",
      { class: "panel master", "aria-label": "Sessions" },
      h(
        "div",
        { class: "filters" },
        h("input", search),
        choice("state", STATES, changed("state")),
        choice("role", ["publisher", "subscriber"], changed("role")),
        this.#total,
      ),
      this.#list.element,
    );
  }

  update() {
    const { text, state, role } = this.#wanted;
    const all = this.#store.newest;
    const found = all.filter(
      (session) =>
        (!state || session.state === state) &&
        (!role || session.role === role) &&
        (!text || this.#text(session).includes(text)),
    );
    setText(
      this.#total,
      found.length === all.length ? count(all.length) : `${count(found.length)} of ${count(all.length)}`,
    );
    this.#list.set(found);
  }

  select(number) {
    this.#list.select(number, true);
  }

  destroy() {
    this.#list.destroy();
  }

  #text({ session, id, stream, scope, customerScope, username, remoteIp, origin, node }) {
    return [session, id, stream, scope, customerScope, username, remoteIp, origin, node]
      .filter(Boolean)
      .join(" ")
      .toLowerCase();
  }
}
