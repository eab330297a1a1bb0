// The form that sets when an observed value is notified (LwM2M 1.1 core section 7.3.2).

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { h, uniqueId } from "./dom.js";
import { form } from "./field.js";

const TIMES = [["pmin", "not sooner than", "s"], ["pmax", "not later than", "s"]];
const VALUES = [["gt", "when it passes", ""], ["lt", "when it passes", ""], ["st", "when it changes by", ""]];

export class AttributesForm {
  #target;
  #outcome = new Outcome();
  #inputs = new Map();
  #before;
  element;

  constructor(target, attributes, numeric) {
    this.#target = target;
    this.#before = attributes;
    const rows = [...TIMES, ...(numeric ? VALUES : [])];
    this.element = form({ label: "When to notify", verb: "Set", kind: "", submit: (go) => this.#submit(go) },
      h("p", { class: "form-title" }, "When to notify"),
      h("div", { class: "attribute-grid" }, rows.map((row) => this.#row(row))),
      this.#outcome.element);
  }

  #row([name, before, after]) {
    const id = uniqueId(name);
    const input = h("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", value: this.#before[name] ?? "" });
    this.#inputs.set(name, input);
    return h("div", { class: "field" },
      h("label", { for: id }, h("code", {}, name), " ", before),
      h("div", { class: "field-line" }, input, after ? h("span", { class: "units" }, after) : null));
  }

  async #submit(go) {
    await act(go, this.#outcome, async () => {
      const changed = {};
      for (const [name, input] of this.#inputs) {
        const value = input.value.trim();
        if (value !== "" && !Number.isFinite(Number(value))) throw new Error(`${name} must be a number`);
        // One that was set and is empty now is removed.
        if (value !== (this.#before[name] ?? "")) changed[name] = value;
      }
      if (Object.keys(changed).length === 0) return "Nothing was changed";
      await api.writeAttributes(this.#target.endpoint, this.#target.path, changed);
      this.#before = { ...this.#before, ...changed };
      return "The attributes are set";
    });
  }
}
