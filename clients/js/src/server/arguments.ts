import type { Settings } from "../generated/settings.js";

/** Write settings as options of `smproxy serve`: `{ hookUri: ["a", "b"] }` is `--hook-uri=a --hook-uri=b`. */
export function serveArguments(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]: [string, unknown]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    if (value === true) return [flag];
    return [value].flat().map((each) => `${flag}=${String(each)}`);
  });
}
