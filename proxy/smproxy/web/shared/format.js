/* Numbers and times as people read them. */

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const COUNT = new Intl.NumberFormat("en");

/** 12:03:01.123, in the time zone of who is looking. */
export function clock(ms) {
  return `${TIME.format(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;
}

/** The same, with the day when it is not today. */
export function moment(ms) {
  return new Date(ms).toDateString() === new Date().toDateString() ? clock(ms) : `${DAY.format(ms)}, ${clock(ms)}`;
}

/** The same for a narrow column: 27 Nov, 12:03 when it is not today. */
export function shortMoment(ms) {
  return new Date(ms).toDateString() === new Date().toDateString() ? clock(ms) : SHORT.format(ms);
}

/** 2,014. */
export function count(number) {
  return COUNT.format(number ?? 0);
}

/** 412 ms, 7.3 s, 4:05, 2:10:09. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** 812 kbit/s. */
export function bitrate(bits) {
  if (bits === null || bits === undefined) return "–";
  if (bits < 1000) return `${Math.round(bits)} bit/s`;
  return bits < 1e6 ? `${Math.round(bits / 1000)} kbit/s` : `${(bits / 1e6).toFixed(2)} Mbit/s`;
}

/** 3.4 MB. */
export function bytes(number) {
  if (number === null || number === undefined) return "–";
  if (number < 1000) return `${number} B`;
  const unit = number < 1e6 ? ["kB", 1e3] : number < 1e9 ? ["MB", 1e6] : ["GB", 1e9];
  return `${(number / unit[1]).toFixed(1)} ${unit[0]}`;
}

/** A share in percent; losses under a tenth of a percent are still losses. */
export function percent(part, whole) {
  if (!whole || !part) return "0 %";
  const share = (100 * part) / whole;
  return share < 0.1 ? "< 0.1 %" : `${share.toFixed(1)} %`;
}
