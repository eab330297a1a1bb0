// The form that writes a resource: one value, or the values of a multiple resource.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { button, h, uniqueId } from "./dom.js";
import { Field, form } from "./field.js";

export class WriteForm {
  #target;
  #spec;
  #type;
  #done;
  #outcome = new Outcome();
  #rows = []; // { index: input or null, field, element }
  #list = h("div", { class: "fields" });
  #replace = null;
  element;

  constructor(target, spec, known, { done, cancelled }) {
    this.#target = target;
    this.#spec = spec;
    this.#type = (spec.type || known?.type || "string").toLowerCase();
    this.#done = done;
    const multiple = spec.instancetype === "multiple" || known?.values !== undefined;
    if (multiple) {
      for (const [index, value] of Object.entries(known?.values ?? { 0: undefined })) this.#addRow(Number(index), value);
    } else {
      this.#addRow(null, known?.value);
    }
    this.element = form({ label: `Write ${spec.name}`, verb: "Write", submit: (go) => this.#submit(go), cancelled },
      this.#list, multiple ? this.#multiple() : null, this.#outcome.element);
  }

  focus() {
    this.#rows[0]?.field.focus();
  }

  #multiple() {
    const id = uniqueId("replace");
    this.#replace = h("select", { id },
      h("option", { value: "true" }, "are removed"),
      h("option", { value: "false" }, "stay as they are"));
    return h("div", { class: "form-more" },
      button("Add a value", () => this.#addRow(Math.max(-1, ...this.#rows.map((row) => Number(row.index.value))) + 1).field.focus(), { kind: "quiet" }),
      h("div", { class: "field" }, h("label", { for: id }, "Values that are not listed here"), this.#replace));
  }

  #addRow(index, value) {
    const { name, range, units } = this.#spec;
    const field = new Field({ label: index === null ? name : "Value", type: this.#type, value, range, units });
    const row = { field, index: null, element: field.element };
    if (index !== null) {
      const id = uniqueId("index");
      row.index = h("input", { id, type: "number", min: "0", max: "65534", value: String(index), class: "index-input" });
      row.element = h("div", { class: "pair" },
        h("div", { class: "field" }, h("label", { for: id }, "Instance"), row.index),
        field.element,
        button("×", () => this.#dropRow(row), { kind: "quiet", aria: { label: "Remove this value" } }));
    }
    this.#rows.push(row);
    this.#list.append(row.element);
    return row;
  }

  #dropRow(row) {
    this.#rows = this.#rows.filter((other) => other !== row);
    row.element.remove();
    this.focus();
  }

  async #submit(go) {
    const type = this.#type.toUpperCase();
    const id = this.#spec.id;
    let node;
    if (this.#replace) {
      const values = {};
      for (const row of this.#rows) {
        const read = row.field.read();
        if (!read) return;
        values[Number(row.index.value)] = read.value;
      }
      node = { kind: "multiResource", id, type, values };
    } else {
      const read = this.#rows[0].field.read();
      if (!read) return;
      node = { kind: "singleResource", id, type, value: read.value };
    }
    const worked = await act(go, this.#outcome, async () => {
      await api.write(this.#target.endpoint, this.#target.path, node, this.#replace?.value !== "false");
    });
    if (worked) this.#done(`${this.#spec.name} is written`);
  }
}
