/* The line of a view that says what went wrong. */

import { h, setText } from "../shared/dom.js";

/** The line, hidden while nothing is wrong. */
export class ProblemLine {
  element = h("p", { class: "problem", role: "alert", hidden: true });

  /** Show an error, or a text; hide the line without one. */
  show(problem) {
    setText(this.element, problem?.message ?? problem ?? "");
    this.element.hidden = !problem;
  }

  /** Do something, show why it failed, and return whether it was done. */
  async run(action) {
    try {
      await action();
      this.show(null);
      return true;
    } catch (error) {
      this.show(error);
      return false;
    }
  }
}
