// The form that creates an instance: its id, if it matters, and the resources that can be written.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { h, uniqueId } from "./dom.js";
import { Field, form } from "./field.js";

export class CreateForm {
  #endpoint;
  #object;
  #created;
  #outcome = new Outcome();
  #id;
  #fields = []; // { spec, field }
  element;

  constructor(model, endpoint, object, { created, cancelled }) {
    this.#endpoint = endpoint;
    this.#object = object;
    this.#created = created;
    const spec = model.spec(endpoint, object);
    const id = uniqueId("instance");
    this.#id = h("input", { id, type: "number", min: "0", max: "65534", placeholder: "next" });
    for (const resource of spec?.resourcedefs ?? []) {
      if (!resource.operations.includes("W") && !(resource.mandatory && resource.operations === "R")) continue;
      this.#fields.push({
        spec: resource,
        field: new Field({
          label: resource.name, type: resource.type, range: resource.range, units: resource.units, optional: true,
          hint: resource.mandatory ? "Needed" : "",
        }),
      });
    }
    this.element = form({ label: `Create an instance of ${spec?.name ?? object}`, verb: "Create", submit: (go) => this.#submit(go), cancelled },
      h("p", {}, h("span", { class: "form-title" }, "New instance. "), h("span", { class: "hint" }, "What is left empty is left out.")),
      h("div", { class: "fields create" },
        h("div", { class: "field" }, h("label", { for: id }, "Instance"), h("div", { class: "field-line" }, this.#id),
          h("span", { class: "hint" }, "Left empty, the gateway chooses")),
        this.#fields.map(({ field }) => field.element)),
      this.#outcome.element);
  }

  focus() {
    this.#id.focus();
  }

  async #submit(go) {
    const resources = [];
    for (const { spec, field } of this.#fields) {
      if (field.isEmpty) continue;
      const read = field.read();
      if (!read) return;
      const type = spec.type.toUpperCase();
      resources.push(spec.instancetype === "multiple"
        ? { kind: "multiResource", id: spec.id, type, values: { 0: read.value } }
        : { kind: "singleResource", id: spec.id, type, value: read.value });
    }
    const instance = { kind: "instance", resources };
    if (this.#id.value !== "") instance.id = Number(this.#id.value);
    const worked = await act(go, this.#outcome, () => api.create(this.#endpoint, this.#object, instance).then(() => undefined));
    if (worked) this.#created();
  }
}
