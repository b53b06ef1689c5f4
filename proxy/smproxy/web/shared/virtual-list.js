/* A long list of which only the visible rows are in the page. A grid, for screen readers and for the arrow keys. */

import { h } from "./dom.js";

const OVERSCAN = 6;
const KEYS = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12, Home: -Infinity, End: Infinity };

let lists = 0;

/**
 * `columns`: the heads. `row()` returns `{ element, update(item) }`. `key(item)` identifies an item. `height()`: of a
 * row in pixels, asked again when the size changes. `onSelect(item)` is called when a row is chosen.
 */
export class VirtualList {
  #options;
  #items = [];
  #pool = [];
  #selected = null;
  #number = (lists += 1);
  #space = h("div", { class: "space", role: "rowgroup" });
  #head;
  #body;
  #observer;
  #scheduled = false;
  element;

  constructor({ label, columns, ...options }) {
    this.#options = options;
    const heads = columns.map((name) => h("span", { role: "columnheader" }, name));
    this.#head = h("div", { class: "heads", role: "rowgroup" }, h("div", { class: "row", role: "row" }, ...heads));
    this.#body = h(
      "div",
      { class: "rows", tabindex: "-1", onscroll: () => this.#scheduleDraw() },
      this.#head,
      this.#space,
    );
    const grid = { class: "list", role: "grid", tabindex: "0", "aria-label": label, "aria-readonly": "true" };
    this.element = h("div", grid, this.#body);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.#space.addEventListener("click", (event) => this.#click(event));
    this.#observer = new ResizeObserver(() => this.#draw());
    this.#observer.observe(this.#body);
  }

  /** Show these items. */
  set(items) {
    this.#items = items;
    this.element.setAttribute("aria-rowcount", String(items.length + 1));
    this.#scheduleDraw();
  }

  /** Mark the item with this key; with `show`, scroll to it. */
  select(key, show = false) {
    this.#selected = key;
    const index = show ? this.#items.findIndex((item) => this.#options.key(item) === key) : -1;
    if (index >= 0) this.#show(index);
    this.#scheduleDraw();
  }

  destroy() {
    this.#observer.disconnect();
  }

  #show(index) {
    const height = this.#options.height();
    const top = index * height;
    const { scrollTop } = this.#body;
    const clientHeight = this.#body.clientHeight - this.#head.offsetHeight;
    if (top < scrollTop) this.#body.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.#body.scrollTop = top + height - clientHeight;
  }

  #key(event) {
    const step = KEYS[event.key];
    if (step === undefined || !this.#items.length) return;
    event.preventDefault();
    const now = this.#items.findIndex((item) => this.#options.key(item) === this.#selected);
    const index = Math.min(this.#items.length - 1, Math.max(0, (now < 0 && step > 0 ? -1 : now) + step));
    this.#show(index);
    this.#options.onSelect(this.#items[index]);
  }

  #click(event) {
    const element = event.target.closest("[data-index]");
    if (element && !event.target.closest("a, button"))
      this.#options.onSelect(this.#items[Number(element.dataset.index)]);
  }

  #scheduleDraw() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    const height = this.#options.height();
    this.#space.style.height = `${this.#items.length * height}px`;
    const first = Math.max(0, Math.floor(this.#body.scrollTop / height) - OVERSCAN);
    const fits = Math.ceil(this.#body.clientHeight / height) + 2 * OVERSCAN;
    const shown = Math.max(0, Math.min(this.#items.length - first, fits));
    while (this.#pool.length < shown) this.#add();
    let active = "";
    this.#pool.forEach((row, place) => {
      const { element } = row;
      element.hidden = place >= shown;
      if (element.hidden) return;
      const index = first + place;
      const item = this.#items[index];
      element.style.transform = `translateY(${index * height}px)`;
      element.style.height = `${height}px`;
      element.dataset.index = index;
      element.setAttribute("aria-rowindex", String(index + 2));
      const selected = this.#options.key(item) === this.#selected;
      element.setAttribute("aria-selected", String(selected));
      if (selected) active = element.id;
      row.update(item);
    });
    if (active) this.element.setAttribute("aria-activedescendant", active);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #add() {
    const row = this.#options.row();
    row.element.classList.add("row");
    row.element.setAttribute("role", "row");
    row.element.id = `list-${this.#number}-${this.#pool.length}`;
    this.#pool.push(row);
    this.#space.append(row.element);
  }
}
