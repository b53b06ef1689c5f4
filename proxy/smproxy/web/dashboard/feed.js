/* The connection to the server's feed: server-sent events, read with fetch so that a token can go along as a header. */

import { authorization } from "../shared/api.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;
/* The server sends something at least every 15 seconds. */
const SILENCE = 40_000;

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const of = (name) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
      yield { event: of("event")[0], data: of("data").join("\n") };
    }
  }
}

/** Follow the feed for ever; calls `onEvent(event, data)` and `onState("lost" | "refused")`. Returns a function that reconnects at once. */
export function followFeed({ onEvent, onState }) {
  let wait = FIRST_WAIT;
  let wake = () => {};
  let abort = null;

  const once = async () => {
    const stop = new AbortController();
    abort = stop;
    let watchdog = setTimeout(() => stop.abort(), SILENCE);
    try {
      const response = await fetch("/api/v1/feed", {
        headers: authorization(),
        signal: stop.signal,
        cache: "no-store",
      });
      if (response.status === 401 || response.status === 403) return "refused";
      if (!response.ok) return "lost";
      for await (const { event, data } of events(response.body)) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => stop.abort(), SILENCE);
        if (event) onEvent(event, JSON.parse(data));
        wait = FIRST_WAIT;
      }
      return "lost";
    } catch {
      return "lost";
    } finally {
      clearTimeout(watchdog);
    }
  };

  const run = async () => {
    for (;;) {
      const outcome = await once();
      onState(outcome);
      const longest = outcome === "refused" ? 2 ** 31 - 1 : wait;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, longest);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wait = Math.min(LONGEST_WAIT, wait * 1.6);
    }
  };
  run();
  window.addEventListener("online", () => wake());
  return () => {
    wait = FIRST_WAIT;
    abort?.abort();
    wake();
  };
}
