// Fields of which those are seen that a chosen security mode needs.

import { h, uniqueId } from "./dom.js";

/** Bytes as an input for them has it; nothing where there are none. */
export const toHex = (bytes) => (bytes ?? []).map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** A new key, of 16 bytes. */
export const randomKey = () => toHex([...crypto.getRandomValues(new Uint8Array(16))]);

/** A labelled choice of one of `options`, pairs of a name and a text. */
export function choice(label, options, value) {
  const id = uniqueId("choice");
  const select = h("select", { id }, options.map(([name, text]) => h("option", { value: name, selected: name === value }, text)));
  return { select, element: h("div", { class: "field" }, h("label", { for: id }, label), h("div", { class: "field-line" }, select)) };
}

/** Names the elements of fields, for styles and tests. */
export function name(fields) {
  for (const [key, field] of Object.entries(fields)) field.element.dataset.field = key;
}

export class Credentials {
  #mode;
  #fields;
  #needs;
  element;

  /** `modes` are pairs of a name and a text; `needs` has for each mode the names of its `fields`. */
  constructor({ label, modes, mode, fields, needs }) {
    this.#mode = choice(label, modes, mode);
    this.#fields = fields;
    name({ ...fields, mode: this.#mode });
    this.element = h("div", { class: "fields create" }, this.#mode.element, Object.values(fields).map((field) => field.element));
    this.#needs = needs;
    const show = () => {
      for (const [key, field] of Object.entries(fields)) field.element.hidden = !needs[this.mode].includes(key);
    };
    this.#mode.select.addEventListener("change", show);
    show();
  }

  focus() {
    this.#mode.select.focus();
  }

  get mode() {
    return this.#mode.select.value;
  }

  /** The values of what is seen, by name; null with what is wrong shown. */
  read() {
    const values = {};
    for (const key of this.#needs[this.mode]) {
      const read = this.#fields[key].read();
      if (!read) return null;
      values[key] = read.value;
    }
    return values;
  }
}
