// One gateway: who it is, its objects to choose from, and the chosen one.

import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { ago, fullTime, span } from "./format.js";
import { ObjectView } from "./object.js";

export class Gateway {
  endpoint;
  #model;
  #stop = [];
  #head = h("header", { class: "gateway-head" });
  #nav = h("nav", { class: "objects", aria: { label: "Objects" } });
  #place = h("div", { class: "object-place" });
  #object = null;
  #view = null;
  #registration = null;

  constructor(main, model, endpoint) {
    this.#model = model;
    this.endpoint = endpoint;
    fill(main, this.#head, h("div", { class: "gateway-body" }, this.#nav, this.#place));
    const mine = (listener) => (which) => { if (which === endpoint) listener(); };
    this.#stop = [
      model.on("gateways", () => { this.#drawHead(); this.#view?.setGone(Boolean(model.gateways.get(endpoint).gone)); }),
      model.on("objects", mine(() => this.#objectsChanged())),
      model.on("registered", mine(() => this.refresh())),
      model.on("specs", mine(() => { this.#drawNav(); this.#drawObject(); })),
    ];
    this.#drawHead();
    this.refresh();
  }

  close() {
    for (const stop of this.#stop) stop();
    this.#view?.close();
  }

  /** Shows an object; `null` is the one that tells most about a gateway. */
  choose(object) {
    this.#object = object;
    this.#drawNav();
    this.#drawObject();
  }

  /** Asks for the definitions anew: after a registration, or when the objects changed. */
  async refresh() {
    try {
      this.#model.setSpecs(this.endpoint, await api.specs(this.endpoint));
    } catch {
      // It de-registered meanwhile; the head says so, and a new registration comes back here.
    }
  }

  #chosen() {
    const objects = this.#model.objects(this.endpoint);
    if (this.#object !== null) return this.#object;
    return objects.has(3) ? 3 : [...objects.keys()][0];
  }

  #drawHead() {
    const gateway = this.#model.gateways.get(this.endpoint);
    const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    fill(this.#head,
      h("a", { class: "back", href: "#/" }, "All gateways"),
      h("div", { class: "gateway-title" },
        h("h1", {}, this.endpoint),
        gateway.gone ? h("span", { class: "state gone" }, "Not registered") : h("span", { class: "state" }, "Registered")),
      h("dl", { class: "facts" },
        fact("Address", h("code", {}, gateway.address)),
        fact("LwM2M", gateway.lwM2mVersion),
        fact("DTLS", gateway.secure ? h("code", {}, gateway.identity) : "No"),
        fact("Lifetime", span(gateway.lifetime)),
        fact("Binding", gateway.bindingMode, gateway.queuemode ? " queue" : ""),
        fact("Registered", h("time", { title: fullTime(gateway.registrationDate), data: { at: gateway.registrationDate } }, ago(gateway.registrationDate))),
        fact("Last update", h("time", { title: fullTime(gateway.lastUpdate), data: { at: gateway.lastUpdate } }, ago(gateway.lastUpdate)))),
      gateway.gone ? h("p", { class: "notice" },
        "It de-registered or its lifetime ended. What was last seen stays here; it can be asked again once it registers.") : null);
  }

  #drawNav() {
    const chosen = this.#chosen();
    const focused = this.#nav.contains(document.activeElement);
    fill(this.#nav, h("h2", {}, "Objects"), h("ul", { role: "list" },
      [...this.#model.objects(this.endpoint)].map(([id, instances]) => h("li", {}, h("a", {
        href: `#/${encodeURIComponent(this.endpoint)}/${id}`,
        aria: { current: id === chosen ? "true" : null },
      },
      h("span", { class: "name" }, this.#model.spec(this.endpoint, id)?.name ?? `Object ${id}`),
      h("span", { class: "sub" }, `/${id}`, instances.length > 1 ? ` · ${instances.length}` : ""))))));
    const current = this.#nav.querySelector("[aria-current]");
    if (focused) current?.focus();
    // A strip that is scrolled sideways on a narrow screen must not hide the chosen one.
    if (current && this.#nav.scrollWidth > this.#nav.clientWidth) current.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #objectsChanged() {
    const unknown = [...this.#model.objects(this.endpoint).keys()].some((id) => !this.#model.spec(this.endpoint, id));
    if (unknown) return this.refresh();
    this.#drawNav();
    this.#view?.instancesChanged();
  }

  /** The view of an object stays over registrations, so that nobody loses what is being typed; its values are read anew. */
  #drawObject() {
    if (!this.#model.specs.has(this.endpoint)) return;
    const object = this.#chosen();
    const gateway = this.#model.gateways.get(this.endpoint);
    const version = this.#model.spec(this.endpoint, object)?.version;
    const kept = this.#view !== null && this.#view.object === object && this.#view.version === version;
    if (kept && this.#registration === gateway.registrationId) return;
    this.#registration = gateway.registrationId;
    if (!kept) {
      this.#view?.close();
      this.#view = object === undefined ? null : new ObjectView(this.#model, this.endpoint, object);
      fill(this.#place, this.#view?.element ?? h("p", { class: "faint empty" }, "This gateway registered no objects."));
    }
    this.#view?.setGone(Boolean(gateway.gone));
    if (!gateway.gone) this.#view?.load();
  }
}
