/* A small plot over time: one line, no axes; the numbers stand beside it. */

import { svg } from "./dom.js";

const WIDTH = 160;
const HEIGHT = 36;

/** A plot of at most `size` values, drawn again with `draw(values, title)`. */
export class Sparkline {
  #size;
  #line = svg("path", { class: "sparkline-line", fill: "none" });
  #area = svg("path", { class: "sparkline-area" });
  #title = svg("title");
  element = svg(
    "svg",
    { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    this.#title,
    this.#area,
    this.#line,
  );

  constructor(size = 120) {
    this.#size = size;
  }

  draw(values, title) {
    this.#title.textContent = title;
    const most = Math.max(1, ...values);
    const step = WIDTH / (this.#size - 1);
    const first = WIDTH - (values.length - 1) * step;
    const points = values.map((value, index) => {
      const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
      return `${(first + index * step).toFixed(1)},${y.toFixed(1)}`;
    });
    if (points.length < 2) return;
    this.#line.setAttribute("d", `M${points.join("L")}`);
    this.#area.setAttribute("d", `M${first.toFixed(1)},${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z`);
  }
}
