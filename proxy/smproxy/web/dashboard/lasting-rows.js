/* Rows that are updated and not replaced: a button in them keeps the focus, and one that waits for a second press keeps waiting. */

import { setChildren } from "../shared/dom.js";

/** The children of `parent`, one for each item: `make(item)` returns `{ element, show(item, …) }`; `key(item)` tells two items apart. */
export class LastingRows {
  #parent;
  #key;
  #make;
  #rows = new Map();

  constructor(parent, { key, make }) {
    this.#parent = parent;
    this.#key = key;
    this.#make = make;
  }

  /** Show these items; `facts` go to each row. */
  set(items, ...facts) {
    const rows = new Map(items.map((item) => [this.#key(item), this.#rows.get(this.#key(item)) ?? this.#make(item)]));
    for (const item of items) rows.get(this.#key(item)).show(item, ...facts);
    setChildren(
      this.#parent,
      [...rows.values()].map(({ element }) => element),
    );
    this.#rows = rows;
  }
}
