/* Many reasons to look again, one look: at once, and then once for all that came meanwhile. */

/** Make a function that runs `look` (which may be asynchronous), never twice at a time nor more often than every `ms`. */
export function later(look, ms) {
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
    await look();
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
