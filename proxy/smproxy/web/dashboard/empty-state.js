/* The first steps, shown while there is no session yet. */

import { h } from "../shared/dom.js";

/** Three ways to get a session. */
export class EmptyState {
  element;

  constructor(store) {
    const app = store.facts.app ?? "live";
    const socket = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
    const step = (title, ...text) => h("li", {}, h("h3", {}, title), h("p", {}, ...text));
    this.element = h(
      "section",
      { class: "panel empty", hidden: true },
      h("h2", {}, "Nothing has connected yet"),
      h("p", { class: "muted" }, "Sessions show up here the moment they begin. Three ways to get one:"),
      h(
        "ol",
        {},
        step(
          "Publish from this browser",
          h("a", { class: "button go", href: `/publish?source=pattern` }, "Open the test page"),
          " It needs no camera: press Start Publishing and come back.",
        ),
        step(
          "Publish from the terminal",
          h("code", {}, `smproxy publish --stream cam-1 --customer-scope acme ${socket}/streammanager`),
        ),
        step(
          "Bring your own page",
          "Give the SDK this host and port, and the app ",
          h("code", {}, "streammanager"),
          ". Hooks come on ",
          h("code", {}, `${socket}/${app}/webhook`),
          ", or as HTTP requests with ",
          h("code", {}, "smproxy serve --hook-uri URL"),
          ".",
        ),
      ),
    );
  }
}
