/* Hooks, the newest first, each with its deliveries. */

import { h, setText } from "../shared/dom.js";
import { count, moment, shortMoment } from "../shared/format.js";
import { hookName, hookSummary, receiverLabel } from "../shared/labels.js";
import { VirtualList } from "../shared/virtual-list.js";
import { FilterChoice } from "./filter-choice.js";
import { openDetail } from "./split-view.js";
import { stateTag, deliverySummary, setStateTag } from "./state-tags.js";

const COLUMNS = ["Time", "Event", "Id", "Customer scope", "Session", "Details", "Delivery"];
const DETAILS = COLUMNS.indexOf("Details");

/* Pixels of a row of three lines, where there is no room for columns. */
const NARROW = 80;

function makeRow(base, detailsOf) {
  const cells = COLUMNS.map((name) => h("span", { role: "gridcell", "data-cell": name }));
  const [time, event, id, scope, session, details, delivery] = cells;
  const link = h("a", { tabindex: "-1" });
  const state = stateTag();
  const more = h("span", { class: "muted num" });
  event.append(link);
  delivery.append(state, more);
  time.className = "num";
  const update = (hook) => {
    setText(time, shortMoment(hook.ts));
    time.title = moment(hook.ts);
    setText(link, hookName(hook));
    link.href = `${base}/${hook.uuid}`;
    setText(id, hook.connection?.id ?? "");
    setText(scope, hook.connection?.customerScope ?? "");
    setText(session, `${hook.payload.session} #${hook.seq}`);
    setText(details, detailsOf(hook));
    details.title = details.textContent;
    const outcome = deliverySummary(hook);
    setStateTag(state, outcome.state);
    state.hidden = !outcome.state;
    setText(more, outcome.share + (outcome.tries > 1 ? ` · ${outcome.tries} tries` : ""));
  };
  return { element: h("div", {}, ...cells), update };
}

/**
 * The list; `base` is the view's address, `hooks()` returns its items, `top` are elements above it. `details` may name and fill the
 * column of details in another way: `{ title, of(hook) }`.
 */
export class HookList {
  #hooks;
  #list;
  #text = "";
  #event = new FilterChoice("event", () => this.update());
  #receiver = new FilterChoice("receiver", () => this.update(), receiverLabel);
  #total = h("span", { class: "muted num total", role: "status" });
  element;

  constructor({ base, label, hooks, kind = "", top = [], details = { title: "Details", of: hookSummary } }) {
    this.#hooks = hooks;
    this.#list = new VirtualList({
      label: `${label}; the arrow keys move`,
      columns: COLUMNS.map((name, index) => (index === DETAILS ? details.title : name)),
      row: () => makeRow(base, details.of),
      key: (hook) => hook.uuid,
      height: () => (this.#list.element.clientWidth < 720 ? NARROW : 36),
      onSelect: (hook) => openDetail(base, hook.uuid),
    });
    const oninput = (event) => {
      this.#text = event.target.value.trim().toLowerCase();
      this.update();
    };
    const search = h("input", {
      type: "search",
      "aria-label": "Search",
      placeholder: "Event, id, scope, session…",
      oninput,
    });
    this.element = h(
      "section",
      { class: `panel master hook-list ${kind}`, "aria-label": label },
      h("div", { class: "filters" }, search, this.#event.element, this.#receiver.element, this.#total, ...top),
      this.#list.element,
    );
  }

  update() {
    const all = this.#hooks();
    this.#event.offer(new Set(all.map(hookName)));
    this.#receiver.offer(new Set(all.flatMap(({ deliveries }) => [...deliveries.keys()])));
    const { wanted: event } = this.#event;
    const { wanted: receiver } = this.#receiver;
    const found = all.filter(
      (hook) =>
        (!event || hookName(hook) === event) &&
        (!receiver || hook.deliveries.has(receiver)) &&
        (!this.#text || this.#searchText(hook).includes(this.#text)),
    );
    setText(
      this.#total,
      found.length === all.length ? count(all.length) : `${count(found.length)} of ${count(all.length)}`,
    );
    this.#list.set(found);
  }

  select(uuid) {
    this.#list.select(uuid, true);
  }

  destroy() {
    this.#list.destroy();
  }

  #searchText({ uuid, event, payload, connection }) {
    const parts = [
      uuid,
      event,
      payload.state,
      payload.event,
      payload.session,
      connection?.id,
      connection?.customerScope,
    ];
    return parts.filter(Boolean).join(" ").toLowerCase();
  }
}
