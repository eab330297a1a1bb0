// One object: its instances, and what can be done with all of it.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { button, fill, h, setAria } from "./dom.js";
import { CreateForm } from "./create.js";
import { InstanceView } from "./instance.js";
import { toggleObserve } from "./observe.js";

export class ObjectView {
  object;
  version;
  #model;
  #endpoint;
  #stop = [];
  #outcome = new Outcome();
  #create = h("div", { class: "form-place" });
  #instances = h("div", { class: "instances" });
  #views = new Map();
  #age = h("span", { class: "read-at" });
  #read;
  #observe;
  element;

  constructor(model, endpoint, object) {
    this.#model = model;
    this.#endpoint = endpoint;
    this.object = object;
    const spec = model.spec(endpoint, object);
    this.version = spec?.version;
    this.#read = button("Read all", () => this.load(), { title: `Read ${this.#path}` });
    this.#observe = button("Observe all", () => this.#toggleObserve(), { aria: { pressed: false }, title: `Observe ${this.#path}` });
    this.element = h("section", { class: "object", aria: { label: spec?.name ?? `Object ${object}` } },
      h("div", { class: "object-head" },
        h("div", {},
          h("h2", {}, spec?.name ?? `Object ${object}`),
          h("p", { class: "sub" }, h("code", {}, `/${object}`),
            spec ? ` · version ${spec.version}` : " · its definition is not known here: values are shown as they come",
            this.#age)),
        h("div", { class: "actions" }, this.#read, this.#observe,
          !spec || spec.instancetype === "multiple" ? this.#createButton() : null)),
      this.#outcome.element, this.#create, this.#instances);
    this.#stop = [
      model.on("offered", (which) => { if (which === endpoint) this.#drawInstances(); }),
      model.on("observed", (detail) => { if (detail.endpoint === endpoint) this.#drawObserved(); }),
    ];
    this.#drawInstances();
    this.#drawObserved();
  }

  get #path() { return `/${this.object}`; }

  close() {
    for (const stop of this.#stop) stop();
    for (const view of this.#views.values()) view.close();
  }

  setGone(gone) {
    this.element.classList.toggle("stale", gone);
    this.element.inert = gone;
  }

  /** An instance came or went: what is new is read. */
  instancesChanged() {
    this.#drawInstances();
    return this.load();
  }

  /** Asks what there is, then for all values. */
  async load() {
    await act(this.#read, this.#outcome, async () => {
      await this.discover();
      const answer = await api.read(this.#endpoint, this.#path);
      this.#model.absorb(this.#endpoint, this.#path, answer.content);
      fill(this.#age, " · read ", h("time", { data: { at: Date.now() } }, "just now"));
    });
  }

  /** Learns which resources the instances have. A client need not allow that; then the definition tells what may be there. */
  async discover() {
    try {
      const answer = await api.discover(this.#endpoint, this.#path);
      this.#model.setOffered(this.#endpoint, answer.objectLinks);
    } catch (error) {
      if (!error.code) throw error;
    }
  }

  #toggleObserve() {
    return act(this.#observe, this.#outcome, () => toggleObserve(this.#model, this.#endpoint, this.#path));
  }

  #drawObserved() {
    const observed = this.#model.isObserved(this.#endpoint, this.#path);
    setAria(this.#observe, "pressed", observed);
    this.#observe.textContent = observed ? "Observing all" : "Observe all";
  }

  #createButton() {
    const open = button("Create instance", () => {
      if (this.#create.firstChild) return this.#closeCreate(open);
      const form = new CreateForm(this.#model, this.#endpoint, this.object, {
        created: async () => { this.#closeCreate(open); await this.load(); },
        cancelled: () => this.#closeCreate(open),
      });
      fill(this.#create, form.element);
      setAria(open, "expanded", true);
      form.focus();
    }, { aria: { expanded: false } });
    return open;
  }

  #closeCreate(open) {
    fill(this.#create);
    setAria(open, "expanded", false);
    open.focus();
  }

  #drawInstances() {
    const present = this.#model.objects(this.#endpoint).get(this.object) ?? [];
    for (const [id, view] of this.#views) {
      if (present.includes(id)) continue;
      view.close();
      this.#views.delete(id);
    }
    for (const id of present) {
      if (this.#views.has(id)) this.#views.get(id).drawRows();
      else this.#views.set(id, new InstanceView(this.#model, this.#endpoint, this.object, id));
    }
    // Those that are there stay where they are, so that an open form keeps its focus.
    const wanted = present.map((id) => this.#views.get(id).element);
    for (const child of [...this.#instances.children]) if (!wanted.includes(child)) child.remove();
    wanted.forEach((element, index) => {
      if (this.#instances.children[index] !== element) this.#instances.insertBefore(element, this.#instances.children[index] ?? null);
    });
    if (!present.length) fill(this.#instances, h("p", { class: "faint empty" }, "This object has no instance."));
  }
}
