/* The state of the dashboard: sessions, hooks and counts. All of it is bounded. */

const MAX_SESSIONS = 5000;
const MAX_HOOKS = 5000;
const MAX_DEAD = 1000;
const POINTS = 120;

export const LIVE = new Set(["connecting", "connected", "reconnecting"]);

function isDead({ deliveries }) {
  for (const { state } of deliveries.values()) if (state === "dead") return true;
  return false;
}

/** Holds the state, and calls watchers with the topics that have changed, once a frame. */
export class Store {
  sessions = new Map();
  hooks = new Map();
  nodes = [];
  sinks = [];
  connection = "connecting";
  facts = {};
  /* In a cluster: the node that is asked, the nodes there are, and those that are not heard. */
  cluster = null;
  #epochs = new Map();
  #began = new Map();
  #bitrates = new Map();
  #seen = new Map();
  #generation = 0;
  #order = null;
  #hookOrder = null;
  #offset = 0;
  #clearedAt = 0;
  #watchers = new Set();
  #topics = null;

  /** Call `callback` with the set of changed topics; returns a function that ends that. */
  watch(callback) {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  /** Mark a topic as changed. */
  touch(topic) {
    if (!this.#topics) {
      this.#topics = new Set();
      requestAnimationFrame(() => {
        const topics = this.#topics;
        this.#topics = null;
        for (const callback of [...this.#watchers]) callback(topics);
      });
    }
    this.#topics.add(topic);
  }

  /** Take ended sessions and all hooks off the page, until it is loaded again. */
  clear() {
    this.#clearedAt = this.now();
    for (const [number, { state }] of this.sessions) if (!LIVE.has(state)) this.#forget(number);
    this.hooks.clear();
    this.#hookOrder = null;
    for (const topic of ["sessions", "hooks"]) this.touch(topic);
  }

  /** The time at the server. */
  now() {
    return Date.now() + this.#offset;
  }

  setConnection(state) {
    this.connection = state;
    this.touch("connection");
  }

  hello(facts) {
    if (facts.epoch !== this.facts.epoch || facts.startedAt !== this.facts.startedAt) {
      // Another server, or one that was reset: what its journal holds is asked for.
      this.hooks.clear();
      this.#hookOrder = null;
      this.touch("hooks");
    }
    this.facts = facts;
    this.#offset = facts.now - Date.now();
    this.#generation += 1;
    this.#began.set(undefined, this.#generation);
    this.cluster = null; // a node in a cluster says so at once
  }

  /** Another node of the cluster begins with its sessions. */
  node({ node, startedAt, epoch }) {
    const life = `${startedAt}/${epoch}`;
    if (this.#epochs.has(node) && this.#epochs.get(node) !== life) {
      // It was restarted or reset: what the journals hold is asked for.
      this.hooks.clear();
      this.#hookOrder = null;
      this.touch("hooks");
    }
    this.#epochs.set(node, life);
    this.#generation += 1;
    this.#began.set(node, this.#generation);
  }

  /** Which nodes there are: sessions of those that are gone are forgotten. */
  setCluster(cluster) {
    const present = new Set(cluster.nodes);
    for (const [number, { node }] of this.sessions) if (node !== undefined && !present.has(node)) this.#forget(number);
    for (const node of this.#epochs.keys()) if (!present.has(node)) this.#epochs.delete(node);
    this.cluster = cluster;
    for (const topic of ["connection", "sessions"]) this.touch(topic);
  }

  /** All sessions of a node have been sent, else of the one that is asked: forget those that were not. */
  ready({ node } = {}) {
    const began = this.#began.get(node) ?? this.#generation;
    for (const [number, generation] of this.#seen) {
      const of = this.sessions.get(number)?.node;
      const ours = node === undefined ? !this.#epochs.has(of) : of === node;
      if (ours && generation < began) this.#forget(number);
    }
    this.setConnection("live");
    this.touch("sessions");
    this.touch("ready");
  }

  addSessions(views) {
    for (const view of views) {
      if (view.endedAt !== null && view.endedAt < this.#clearedAt) continue;
      if (!this.sessions.has(view.session)) this.#order = null;
      this.sessions.set(view.session, view);
      this.#seen.set(view.session, this.#generation);
      this.touch(view.session);
    }
    if (this.sessions.size > MAX_SESSIONS) this.#evict();
    this.touch("sessions");
  }

  addStatistics({ sessions }) {
    for (const [key, tracks] of Object.entries(sessions)) {
      const session = this.sessions.get(Number(key));
      if (!session) continue;
      session.tracks = tracks;
      for (const track of tracks) this.#remember(session.session, track);
      this.touch(session.session);
    }
    this.touch("stats");
  }

  /** The newest sessions first. */
  get newest() {
    // Each node sends them in the order of their start.
    this.#order ??= this.cluster ? this.#byStart() : [...this.sessions.keys()].reverse();
    return this.#order.map((number) => this.sessions.get(number));
  }

  /** The bitrates of a track in the last two minutes. */
  bitrates(session, track) {
    return this.#bitrates.get(session)?.get(track) ?? [];
  }

  /** Take a hook, with its deliveries if they are known. */
  addHook(hook) {
    if (hook.ts < this.#clearedAt) return;
    const known = this.hooks.get(hook.uuid);
    const deliveries = new Map(known?.deliveries ?? []);
    const newer =
      hook.deliveries ?? this.sinks.map(({ name }) => ({ sink: name, state: "pending", tries: 0, attempts: [] }));
    for (const delivery of newer) {
      // The journal is written a moment after the feed was sent: what is known already may be newer.
      if ((deliveries.get(delivery.sink)?.tries ?? -1) <= delivery.tries) deliveries.set(delivery.sink, delivery);
    }
    this.hooks.set(hook.uuid, { ...hook, deliveries });
    this.#hookOrder = null;
    if (this.hooks.size > MAX_HOOKS) this.#forgetHook();
    this.touch("hooks");
    this.touch(hook.payload.session);
  }

  addDelivery({ uuid, session, sink, state, attempt }) {
    const hook = this.hooks.get(uuid);
    if (!hook) return;
    const known = hook.deliveries.get(sink) ?? { tries: 0, attempts: [] };
    const attempts = attempt ? [...known.attempts, attempt].slice(-20) : known.attempts;
    hook.deliveries.set(sink, { sink, state, tries: known.tries + (attempt ? 1 : 0), attempts });
    this.touch("hooks");
    this.touch(session);
  }

  /** The newest hooks first. */
  get newestHooks() {
    this.#hookOrder ??= [...this.hooks.values()].sort((a, b) => b.ts - a.ts || (a.uuid < b.uuid ? 1 : -1));
    return this.#hookOrder;
  }

  /** The hooks that are dead letters of some receiver. */
  get dead() {
    return this.newestHooks.filter(isDead);
  }

  set(topic, value) {
    this[topic] = value;
    this.touch(topic);
  }

  #remember(number, { track, bitrate }) {
    if (!this.#bitrates.has(number)) this.#bitrates.set(number, new Map());
    const tracks = this.#bitrates.get(number);
    const values = tracks.get(track) ?? [];
    values.push(bitrate);
    if (values.length > POINTS) values.shift();
    tracks.set(track, values);
  }

  /* The oldest goes; dead letters, which somebody has to see to, only when there are too many. */
  #forgetHook() {
    let looked = 0;
    for (const [uuid, hook] of this.hooks) {
      if (isDead(hook) && (looked += 1) <= MAX_DEAD) continue;
      this.hooks.delete(uuid);
      return;
    }
  }

  #evict() {
    const oldest = this.newest.reverse();
    const victims = [
      ...oldest.filter(({ state }) => !LIVE.has(state)),
      ...oldest.filter(({ state }) => LIVE.has(state)),
    ];
    for (const { session } of victims.slice(0, this.sessions.size - MAX_SESSIONS)) this.#forget(session);
  }

  #byStart() {
    const views = [...this.sessions.values()].sort((a, b) => b.startedAt - a.startedAt || b.session - a.session);
    return views.map(({ session }) => session);
  }

  #forget(number) {
    this.sessions.delete(number);
    this.#seen.delete(number);
    this.#bitrates.delete(number);
    this.#order = null;
  }
}
