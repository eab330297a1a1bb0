// The list of gateways.

import { fill, h } from "./dom.js";
import { ago } from "./format.js";

export class Rail {
  #element;
  #model;
  #chosen = null;

  constructor(element, model) {
    this.#element = element;
    this.#model = model;
    model.on("gateways", () => this.#draw());
    this.#draw();
  }

  choose(endpoint) {
    this.#chosen = endpoint;
    this.#draw();
  }

  #draw() {
    const focused = this.#element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const gateways = [...this.#model.gateways.values()].sort((a, b) => a.endpoint.localeCompare(b.endpoint));
    fill(this.#element,
      h("h2", {}, "Gateways", h("span", { class: "count" }, String(gateways.filter((gateway) => !gateway.gone).length))),
      gateways.length
        ? h("ul", { role: "list" }, gateways.map((gateway) => this.#entry(gateway)))
        : h("p", { class: "faint" }, "None has registered yet."));
    if (focused) this.#element.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  #entry(gateway) {
    const objects = this.#model.objects(gateway.endpoint).size;
    return h("li", {}, h("a", {
      href: `#/${encodeURIComponent(gateway.endpoint)}`,
      class: gateway.gone ? "gateway gone" : "gateway",
      aria: { current: gateway.endpoint === this.#chosen ? "page" : null },
    },
    h("span", { class: "name" }, gateway.endpoint),
    h("span", { class: "sub" }, gateway.gone
      ? ["gone ", h("time", { data: { at: gateway.gone } }, ago(gateway.gone))]
      : `LwM2M ${gateway.lwM2mVersion} · ${objects} object${objects === 1 ? "" : "s"}`)));
  }
}
