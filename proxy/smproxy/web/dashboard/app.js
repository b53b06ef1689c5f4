/* The dashboard: events of the feed go into the store, the address chooses the view. */

import { json } from "../shared/api.js";
import { byId, h, setText } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { CleanSlate } from "./clean-slate.js";
import { ClientsView } from "./clients.js";
import { FaultsView } from "./faults.js";
import { followFeed } from "./feed.js";
import { DeadLettersView, HooksView } from "./hooks.js";
import { NodesView } from "./nodes.js";
import { RecordingsView } from "./recordings.js";
import { RoomsView } from "./rooms.js";
import { SessionsView } from "./sessions.js";
import { LIVE, Store } from "./store.js";
import { TokenForm } from "./token.js";

const HOOKS_AT_START = 500;

const VIEWS = {
  sessions: { title: "Sessions", make: (store) => new SessionsView(store), number: (store) => store.sessions.size },
  hooks: { title: "Hooks", make: (store) => new HooksView(store), number: (store) => store.hooks.size },
  dead: { title: "Dead letters", make: (store) => new DeadLettersView(store), number: (store) => store.dead.length },
  nodes: { title: "Nodes", make: (store) => new NodesView(store), number: (store) => store.nodes.filter(({ state }) => state !== "TERMINATED").length },
  faults: { title: "Faults", make: (store) => new FaultsView(store), number: (store) => store.faults?.active ?? 0 },
  clients: { title: "Clients", make: () => new ClientsView() },
  recordings: { title: "Recordings", make: (store) => new RecordingsView(store) },
  rooms: { title: "Rooms", make: () => new RoomsView() },
};

const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  lost: "Connection lost, trying again…",
  refused: "Token needed",
};

const store = new Store();
const tabs = new Map();
let tabsWidth = 0;
let view = null;
let name = "";

function showTabs() {
  const links = Object.entries(VIEWS).map(([key, { title }]) => {
    const number = h("span", { class: "count num" });
    const link = h("a", { href: `#/${key}` }, title, number);
    tabs.set(key, { link, number });
    return link;
  });
  byId("tabs").append(...links);
}

function countTabs() {
  for (const [key, { number }] of tabs) {
    const value = VIEWS[key].number?.(store);
    setText(number, value ? count(value) : "");
    if (key === "dead" || key === "faults") number.dataset.state = value ? "bad" : "";
  }
  const { scrollWidth } = byId("tabs");
  if (scrollWidth !== tabsWidth && tabs.has(name)) centerTab(tabs.get(name).link);
  tabsWidth = scrollWidth;
  const live = [...store.sessions.values()].filter(({ state }) => LIVE.has(state)).length;
  document.title = `${live ? `(${live}) ` : ""}Dashboard · stream manager`;
}

/* On a phone not all tabs have room. `scrollIntoView` would also move the point from which the Tab key goes on, in some browsers. */
function centerTab(link) {
  const strip = byId("tabs");
  strip.scrollLeft = link.offsetLeft - strip.offsetLeft - (strip.clientWidth - link.offsetWidth) / 2;
}

function route() {
  const [, wanted = "", part = ""] = location.hash.split("/");
  const known = Object.hasOwn(VIEWS, wanted);
  const key = known ? wanted : "sessions";
  if (key !== name) {
    view?.destroy?.();
    name = key;
    view = VIEWS[key].make(store);
    byId("view").replaceChildren(view.element);
    for (const [each, { link }] of tabs) {
      if (each === key) {
        link.setAttribute("aria-current", "page");
        centerTab(link);
      } else link.removeAttribute("aria-current");
    }
  }
  view.route?.((known && part) || null);
}

async function fetchHooks() {
  const lists = await Promise.all([
    json(`/api/v1/hooks?newest=true&deliveries=true&limit=${HOOKS_AT_START}`),
    json(`/api/v1/hooks/dead?newest=true&limit=${HOOKS_AT_START}`),
  ]);
  for (const hook of lists.flatMap(({ hooks }) => hooks).reverse()) store.addHook(hook);
}

const HANDLERS = {
  hello: (facts) => store.hello(facts),
  sessions: (views) => store.addSessions(views),
  node: (facts) => store.node(facts),
  cluster: (cluster) => store.setCluster(cluster),
  ready: (whose) => {
    token.hide();
    byId("view").hidden = false;
    store.ready(whose);
    fetchHooks().catch(() => {});
  },
  hook: (hook) => store.addHook(hook),
  delivery: (delivery) => store.addDelivery(delivery),
  stats: (statistics) => store.addStatistics(statistics),
  nodes: ({ nodes }) => store.set("nodes", nodes),
  sinks: (sinks) => store.set("sinks", sinks),
  faults: (faults) => store.set("faults", faults),
};

const token = new TokenForm(() => reconnect());
byId("view").before(token.element);
byId("tabs").after(new CleanSlate(store).element);
showTabs();
store.watch((topics) => {
  const missing = (store.connection === "live" && store.cluster?.partial) || [];
  setText(byId("link-state"), missing.length ? `Live, without ${missing.join(", ")}` : CONNECTION[store.connection]);
  byId("link-state").dataset.state = missing.length ? "lost" : store.connection;
  countTabs();
  view?.update(topics);
});
window.addEventListener("hashchange", route);
/* Durations change with time alone. */
setInterval(() => store.touch("second"), 1000);

const reconnect = followFeed({
  onEvent: (event, data) => HANDLERS[event]?.(data),
  onState: (state) => {
    store.setConnection(state);
    if (state !== "refused") return;
    byId("view").hidden = true; // also what was known before a restart
    token.show();
  },
});
route();
