/* The statistics of a peer connection as a table, looked at once a second. */

import { byId, h, setText } from "./dom.js";
import { bitrate, bytes, count, percent } from "./format.js";
import { Sparkline } from "./sparkline.js";
import { Statistics } from "./statistics.js";

const COLUMNS = ["Track", "Codec", "Size", "Bitrate", "Over time", "Lost", "In all"];
const POINTS = 60;

function size(row) {
  if (row.kind !== "video") return "";
  const rate = row.frames ? `, ${Math.round(row.frames)} fps` : "";
  return row.width ? `${row.width} × ${row.height}${rate}` : "–";
}

/** Shows a peer connection in the element `statistics` until it is stopped. */
export function showStatistics(peer) {
  const statistics = new Statistics(peer);
  const body = h("tbody");
  const rows = new Map();
  const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
  byId("statistics").replaceChildren(h("div", { class: "scroll" }, h("table", {}, h("thead", {}, header), body)));

  const rowOf = (kind) => {
    if (!rows.has(kind)) {
      const plot = new Sparkline(POINTS);
      const cells = COLUMNS.slice(1).map((name) => h("td", { class: name === "Over time" ? "" : "num" }));
      cells[3].append(plot.element);
      body.append(h("tr", {}, h("th", { scope: "row" }, kind), ...cells));
      rows.set(kind, { plot, cells, past: [] });
    }
    return rows.get(kind);
  };

  const look = async () => {
    for (const row of await statistics.sample()) {
      const { plot, cells, past } = rowOf(row.kind);
      if (row.bitrate !== null) past.push(row.bitrate);
      if (past.length > POINTS) past.shift();
      plot.draw(past, `Bitrate of ${row.kind} in the last minute, now ${bitrate(row.bitrate)}`);
      const texts = [
        row.codec,
        size(row),
        bitrate(row.bitrate),
        null,
        percent(row.lost, row.packets + row.lost),
        bytes(row.bytes),
      ];
      texts.forEach((text, index) => text !== null && setText(cells[index], text));
      cells[5].title = `${count(row.packets)} packets`;
    }
  };
  const timer = setInterval(() => look().catch(() => {}), 1000);
  look().catch(() => {});
  return () => clearInterval(timer);
}
