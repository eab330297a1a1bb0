// One instance of an object: a list of its resources.

import * as api from "./api.js";
import { act, Outcome, removal } from "./action.js";
import { button, h } from "./dom.js";
import { ResourceRow } from "./resource.js";
import { UpdateCard } from "./update_card.js";

export class InstanceView {
  #model;
  #endpoint;
  #object;
  #instance;
  #outcome = new Outcome();
  #list = h("ul", { class: "resources", role: "list" });
  #rows = new Map();
  #stop = [];
  #card;
  element;

  constructor(model, endpoint, object, instance) {
    this.#model = model;
    this.#endpoint = endpoint;
    this.#object = object;
    this.#instance = instance;
    const spec = model.spec(endpoint, object);
    const multiple = !spec || spec.instancetype === "multiple";
    this.#card = UpdateCard.has(object) ? new UpdateCard(model, endpoint, object, instance) : null;
    this.element = h("section", { class: "instance", aria: { label: `Instance ${instance}` } },
      multiple ? this.#head() : null, this.#outcome.element, this.#card?.element, this.#list);
    this.#stop = [
      model.on("value", (detail) => { if (detail.endpoint === endpoint) this.#valueCame(detail.path); }),
      model.on("observed", (detail) => {
        if (detail.endpoint === endpoint) for (const row of this.#rows.values()) row.drawObserved();
      }),
      model.on("tick", () => { for (const row of this.#rows.values()) row.tick(); }),
    ];
    this.drawRows();
  }

  get #path() { return `/${this.#object}/${this.#instance}`; }

  close() {
    for (const stop of this.#stop) stop();
    this.#card?.close();
  }

  #head() {
    const read = button("Read", () => act(read, this.#outcome, async () => {
      const answer = await api.read(this.#endpoint, this.#path);
      this.#model.absorb(this.#endpoint, this.#path, answer.content);
    }), { title: `Read ${this.#path}` });
    const remove = removal(this.#outcome, async () => {
      await api.remove(this.#endpoint, this.#path);
      return `${this.#path} is deleted`;
    }, { title: `Delete ${this.#path}` });
    return h("div", { class: "instance-head" },
      h("h3", {}, `Instance ${this.#instance} `, h("code", { class: "sub" }, this.#path)),
      h("div", { class: "actions" }, read, ...remove));
  }

  /** Brings the rows in line with what the instance has now; those that stay keep their state and their focus. */
  drawRows() {
    const wanted = this.#model.resources(this.#endpoint, this.#object, this.#instance);
    for (const id of wanted) this.#row(id);
    const order = [...wanted].sort((a, b) => a - b);
    for (const [id, row] of this.#rows) {
      if (!order.includes(id)) {
        row.element.remove();
        this.#rows.delete(id);
      }
    }
    order.forEach((id, index) => {
      const { element } = this.#rows.get(id);
      if (this.#list.children[index] !== element) this.#list.insertBefore(element, this.#list.children[index] ?? null);
    });
  }

  #row(id) {
    if (!this.#rows.has(id)) this.#rows.set(id, new ResourceRow(this.#model, this.#endpoint, this.#object, this.#instance, id));
    return this.#rows.get(id);
  }

  #valueCame(path) {
    const prefix = `${this.#path}/`;
    if (!path.startsWith(prefix)) return;
    const id = Number(path.slice(prefix.length));
    const fresh = !this.#rows.has(id);
    this.#row(id).drawValue(true);
    // A value of a resource that nobody told of: without Discover the definition may lack it.
    if (fresh) this.#list.append(this.#rows.get(id).element);
  }
}
