/* Rows by key, replaced only when their item changes: a button in them keeps the focus, and one that waits for a second press keeps waiting. */

import { setChildren } from "../shared/dom.js";

/** The children of `parent`, one for each item, made by `make(item)`; `key(item)` tells two items apart. */
export class KeyedList {
  #parent;
  #make;
  #key;
  #kept = new Map();

  constructor(parent, { make, key }) {
    this.#parent = parent;
    this.#make = make;
    this.#key = key;
  }

  /** Show these items. */
  set(items) {
    const focus = this.#focus();
    const kept = new Map(items.map((item) => [this.#key(item), this.#row(item)]));
    this.#kept = kept;
    setChildren(
      this.#parent,
      [...kept.values()].map(({ element }) => element),
    );
    const place = focus && kept.get(focus.key)?.element;
    if (place && !place.contains(document.activeElement)) place.querySelectorAll("a, button")[focus.index]?.focus();
  }

  /** The element of the item with this key. */
  element(key) {
    return this.#kept.get(key)?.element;
  }

  #row(item) {
    const text = JSON.stringify(item);
    const row = this.#kept.get(this.#key(item));
    return row?.text === text ? row : { text, element: this.#make(item) };
  }

  #focus() {
    for (const [key, { element }] of this.#kept) {
      if (element.contains(document.activeElement))
        return { key, index: [...element.querySelectorAll("a, button")].indexOf(document.activeElement) };
    }
    return null;
  }
}
