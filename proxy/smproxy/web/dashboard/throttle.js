/* Calls a function at once, and then once for all the calls that came meanwhile. */

/** Return `{ run, stop }`: `run` calls `action` (which may be asynchronous), never concurrently nor more often than every `ms`. */
export function throttle(action, ms) {
  let running = false;
  let again = false;
  let stopped = false;
  let timer = null;
  const run = async () => {
    if (stopped || running || timer !== null) {
      again = true;
      return;
    }
    running = true;
    again = false;
    await action();
    running = false;
    if (stopped) return;
    timer = setTimeout(() => {
      timer = null;
      if (again) run();
    }, ms);
  };
  const stop = () => {
    clearTimeout(timer);
    stopped = true;
  };
  return { run, stop };
}
