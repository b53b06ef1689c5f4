/* What the two test pages share: the form, its start and stop, and what is shown meanwhile. */

import { byId, serverSetting, setText } from "./dom.js";
import { webhookAddress } from "./address.js";
import { HookSocket } from "./hook-socket.js";
import { fillFromLink, linkToForm } from "./link.js";
import { shownUrl } from "./redact.js";
import { SignalingLog } from "./signaling-log.js";
import { showStatistics } from "./statistics-view.js";
import { Progress } from "./steps.js";

const hooks = new HookSocket();
const log = new SignalingLog();

const URL_TITLES = { websocket: "WebSocket URL", whip: "WHIP URL", whep: "WHEP URL" };

/** The values of the fields that both forms have. What is empty is `undefined`, as the SDK sends it. */
export function fields() {
  const value = (id) => byId(id).value.trim();
  return {
    host: value("host"),
    app: value("app").replace(/^\/+|\/+$/g, ""),
    stream: value("stream"),
    credentials: { username: value("username") || undefined, password: byId("password").value || undefined },
    customerScope: value("scope") || undefined,
    webhook: value("webhook"),
    transport: byId("form").elements.transport.value,
  };
}

/* Return whether the form is complete; show and focus the first field that is missing. */
function complete(progress) {
  const field = [...byId("form").querySelectorAll("[required]")].find((input) => !input.value.trim());
  if (!field) return true;
  const label = byId("form").querySelector(`label[for="${field.id}"]`).textContent;
  progress.problem(`${label} is empty: fill it in.`);
  field.focus();
  return false;
}

function fillDefaults(stream) {
  const app = serverSetting("app") || "live";
  const defaults = { host: location.host, app, stream, scope: "acme", webhook: webhookAddress(location.host, app) };
  for (const [id, value] of Object.entries(defaults)) byId(id).value = byId(id).dataset.initial = value;
  for (const id of ["stream", "scope"]) delete byId(id).dataset.initial; // a link says which stream it is about
}

/* Scroll to the stage where it is below the form. `scrollIntoView` would also move the point from which the Tab key goes on. */
function showStage() {
  const { top } = document.querySelector(".stage").getBoundingClientRect();
  const { bottom } = byId("state").getBoundingClientRect();
  if (bottom > byId("actions").getBoundingClientRect().top && top > 0) scrollBy(0, top - 12);
}

/* Enable Stop or Start. The focus, if it was on the one that is disabled now, moves to the other. */
function enableButtons(running) {
  const [enabled, disabled] = running ? [byId("stop"), byId("start")] : [byId("start"), byId("stop")];
  const hadFocus = document.activeElement === disabled;
  enabled.disabled = false;
  if (hadFocus) enabled.focus({ preventScroll: true });
  disabled.disabled = true;
}

/**
 * Set the page up. `steps(transport)` returns what a start consists of. `run({ progress, isCurrent, onStop, dial, onMessage,
 * showMedia, showStatistics, onEnd })` starts a stream: it gives `onStop` a function that ends it, `isCurrent()` says whether it
 * still is to go on, and `dial(url)` shows the URL and returns it.
 */
export function testPage({ steps, idle, stream, run }) {
  const progress = new Progress();
  let current = null;

  byId("token-field").hidden = serverSetting("token") !== "required";
  fillDefaults(stream);
  progress.note(fillFromLink());
  setText(byId("state"), idle);
  const showTransport = () => {
    progress.setSteps(steps(fields().transport));
    setText(byId("url-title"), `Outgoing ${URL_TITLES[fields().transport]}`);
  };
  showTransport();
  byId("form").addEventListener("change", () => current || showTransport());

  const finish = (text, state) => {
    current = null;
    enableButtons(false);
    byId("screen-note").hidden = false;
    byId("video").srcObject = null;
    progress.setState(text, state);
  };
  const end = async (attempt) => {
    attempt.isOver = true;
    attempt.stopStatistics?.();
    await attempt.stop?.();
  };
  const stop = async () => {
    if (!current || current.isOver) return;
    progress.setState("Stopping…", "busy");
    await end(current);
    finish("Stopped.", "idle");
  };
  const start = async () => {
    if (current || !complete(progress)) return;
    const attempt = (current = { isOver: false });
    progress.problem("");
    progress.note("");
    log.clear();
    showTransport();
    enableButtons(true);
    showStage();
    const fail = async (text) => {
      if (attempt.isOver) return;
      await end(attempt);
      progress.problem(text);
      finish(attempt.stopStatistics ? "It is over." : "It did not work.", "failed");
    };
    try {
      progress.setState("Opening the webhook socket…", "busy");
      await hooks.open(fields().webhook, fields().customerScope, byId("token").value);
      if (attempt.isOver) return;
      await run({
        progress,
        isCurrent: () => !attempt.isOver,
        onStop: (undo) => (attempt.stop = undo),
        dial: (url) => {
          setText(byId("url"), shownUrl(url));
          if (url.startsWith("ws")) log.opened(url);
          return url;
        },
        onMessage: (message) => log.add(message),
        showMedia: (media) => {
          byId("video").srcObject = media;
          byId("screen-note").hidden = true;
        },
        showStatistics: (peer) => (attempt.stopStatistics = showStatistics(peer)),
        onEnd: fail,
      });
    } catch (error) {
      await fail(error.message);
    }
  };

  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  byId("stop").addEventListener("click", stop);
  byId("link").addEventListener("click", async () => {
    const link = linkToForm();
    const copied = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    progress.note(copied ? "The link is copied. The password is not in it." : link);
  });
  window.addEventListener("pagehide", () => current?.stop?.());
}
