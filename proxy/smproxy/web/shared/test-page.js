/* What the two test pages share: the form, its start and stop, and what is shown while it runs. */

import { by, fact, setText } from "./dom.js";
import { proxyAddress, webhookAddress } from "./address.js";
import { HookSocket } from "./hook-socket.js";
import { fillFromLink, linkToForm } from "./link.js";
import { shownUrl } from "./redact.js";
import { SignalingLog } from "./signaling-log.js";
import { showStatistics } from "./statistics-view.js";
import { Progress } from "./steps.js";

const hooks = new HookSocket();
const log = new SignalingLog();

/** The values of the fields that both forms have. What is empty is `undefined`, as the SDK sends it. */
export function fields() {
  const value = (id) => by(id).value.trim();
  return {
    host: value("host"),
    app: value("app").replace(/^\/+|\/+$/g, ""),
    stream: value("stream"),
    credentials: { username: value("username") || undefined, password: by("password").value || undefined },
    customerScope: value("scope") || undefined,
    webhook: value("webhook"),
  };
}

/* Say what is missing in the form, and go there; `true` when nothing is. */
function complete(progress) {
  const field = [...by("form").querySelectorAll("[required]")].find((input) => !input.value.trim());
  if (!field) return true;
  const label = by("form").querySelector(`label[for="${field.id}"]`).textContent;
  progress.problem(`${label} is empty: fill it in.`);
  field.focus();
  return false;
}

function fillDefaults(stream) {
  const app = fact("app") || "live";
  const defaults = { host: location.host, app, stream, scope: "acme", webhook: webhookAddress(location.host, app) };
  for (const [id, value] of Object.entries(defaults)) by(id).value = by(id).dataset.initial = value;
  for (const id of ["stream", "scope"]) delete by(id).dataset.initial; // a link says which stream it is about
}

/** Set the page up. `run({ progress, opening, passed, showPeer, ended })` starts, and returns how to stop. */
export function testPage({ steps, idle, stream, run }) {
  const progress = new Progress(steps);
  let stopping = null;
  let attempt = 0;

  fillDefaults(stream);
  progress.note(fillFromLink());
  setText(by("state"), idle);

  const buttons = (running) => {
    by("start").disabled = running;
    by("stop").disabled = !running;
  };
  const over = (words, kind) => {
    stopping?.stopStatistics?.();
    stopping = null;
    buttons(false);
    by("screen-note").hidden = false;
    by("video").srcObject = null;
    progress.say(words, kind);
  };
  const stop = async () => {
    attempt += 1;
    const current = stopping;
    by("stop").disabled = true;
    progress.say("Stopping…", "busy");
    await current?.stop?.();
    over("Stopped.", "idle");
    by("start").focus();
  };
  const start = async () => {
    if (stopping || !complete(progress)) return;
    const own = (attempt += 1);
    const current = (stopping = {});
    by("state").scrollIntoView({ block: "nearest" }); // on a phone it is below the form
    progress.problem("");
    progress.note("");
    log.clear();
    buttons(true);
    const fail = async (words) => {
      if (own !== attempt) return;
      attempt += 1;
      await current.stop?.();
      progress.problem(words);
      over(current.stopStatistics ? "It is over." : "It did not work.", "failed");
    };
    try {
      progress.say("Listening for hooks…", "busy");
      await hooks.open(fields().webhook, fields().customerScope);
      await run({
        progress,
        alive: () => own === attempt,
        onStop: (undo) => (current.stop = undo),
        opening: (params) => {
          const url = proxyAddress(fields().host, params);
          setText(by("url"), shownUrl(url));
          log.opened(url);
          return url;
        },
        passed: (passed) => log.passed(passed),
        show: (media) => {
          by("video").srcObject = media;
          by("screen-note").hidden = true;
        },
        measure: (peer) => (current.stopStatistics = showStatistics(peer)),
        ended: fail,
      });
    } catch (error) {
      await fail(error.message);
    }
  };

  by("form").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  by("stop").addEventListener("click", stop);
  by("link").addEventListener("click", async () => {
    const link = linkToForm();
    const copied = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    progress.note(copied ? "The link is copied. The password is not in it." : link);
  });
  window.addEventListener("pagehide", () => stopping?.stop?.());
}
