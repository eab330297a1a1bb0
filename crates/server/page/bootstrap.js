// The bootstrap server: what each endpoint is configured with, a form to change it, and how the sessions go.

import * as api from "./api.js";
import { Outcome, removal } from "./action.js";
import { BootstrapForm } from "./bootstrap_form.js";
import { sessions } from "./bootstrap_sessions.js";
import { button, fill, h } from "./dom.js";

const MODES = { NO_SEC: "No security", PSK: "Pre-shared key", RPK: "Raw public key", X509: "Certificate", EST: "EST" };

export class Bootstrap {
  #model;
  #configurations = new Map(); // by endpoint
  #keys = new Map(); // entries of the security store, by endpoint
  #addresses = [];
  #list = h("div", { class: "fleet entries" });
  #formPlace = h("div", { class: "form-place" });
  #sessions = h("div", { class: "sessions" });
  #outcome = new Outcome();
  #add = button("Add a configuration", () => this.#edit(null), { kind: "primary" });
  #unfollow;

  /** Shows itself in `place` until `close`. */
  constructor(place, model) {
    this.#model = model;
    this.#unfollow = model.on("sessions", () => this.#drawSessions());
    fill(place, h("section", { class: "bootstrap" },
      h("div", { class: "object-head" }, h("h1", {}, "Bootstrap"), this.#add),
      this.#outcome.element, this.#formPlace, this.#list,
      h("h2", {}, "Sessions"), this.#sessions));
    this.#drawSessions();
    this.refresh();
  }

  close() {
    this.#unfollow();
  }

  async refresh() {
    try {
      const [addresses, configurations, keys] =
        await Promise.all([api.bootstrapEndpoints(), api.bootstraps(), api.bootstrapKeys()]);
      this.#addresses = addresses;
      this.#configurations = new Map(Object.entries(configurations));
      this.#keys = new Map(keys.map((entry) => [entry.endpoint, entry.tls]));
      this.#drawList();
    } catch (error) {
      this.#outcome.failure(error);
    }
  }

  #drawList() {
    const endpoints = [...new Set([...this.#configurations.keys(), ...this.#keys.keys()])].sort();
    const addresses = this.#addresses.map(({ uri }) => h("code", {}, uri.full));
    const heading = (name) => h("th", { scope: "col" }, name);
    fill(this.#list,
      h("p", { class: "faint" }, "Devices ask for their servers at ", addresses.flatMap((address, at) => (at ? [" and ", address] : [address]))),
      endpoints.length
        ? h("table", {},
          h("thead", {}, h("tr", {}, ["Endpoint", "Proves itself by", "Servers", ""].map(heading))),
          h("tbody", {}, endpoints.map((endpoint) => this.#row(endpoint))))
        : h("p", { class: "empty" }, "No endpoint has a configuration yet: a device that asks is refused."));
  }

  #row(endpoint) {
    const configuration = this.#configurations.get(endpoint);
    const key = this.#keys.get(endpoint);
    const cell = (name, ...content) => h("td", { data: { name } }, content);
    const proof = key ? [MODES[key.mode.toUpperCase()], key.details?.identity ? [" ", h("code", {}, key.details.identity)] : null] : "Nothing: its name is enough";
    const servers = Object.values(configuration?.security ?? {}).map((account) =>
      h("div", {}, h("code", {}, account.uri), ` ${MODES[account.securityMode] ?? ""}`, account.bootstrapServer ? " (bootstrap)" : ""));
    const remove = removal(this.#outcome, async () => {
      if (this.#configurations.has(endpoint)) await api.removeBootstrap(endpoint);
      await api.removeBootstrapKey(endpoint);
      await this.refresh();
      return `${endpoint} is deleted`;
    }, { "aria-label": `Delete ${endpoint}` });
    return h("tr", { data: { endpoint } },
      h("th", { scope: "row" }, endpoint),
      cell("Proves itself by", proof),
      cell("Servers", servers.length ? servers : "None"),
      h("td", {}, h("div", { class: "actions" },
        button("Edit", () => this.#edit(endpoint), { "aria-label": `Edit ${endpoint}` }),
        ...remove)));
  }

  #edit(endpoint) {
    const form = new BootstrapForm({
      endpoint,
      configuration: this.#configurations.get(endpoint),
      key: this.#keys.get(endpoint),
      saved: (name) => {
        this.#closeForm();
        this.#outcome.success(`${name} is saved`);
        this.refresh();
      },
      cancelled: () => this.#closeForm(),
    });
    fill(this.#formPlace, form.element);
    form.focus();
  }

  #closeForm() {
    fill(this.#formPlace);
    this.#add.focus();
  }

  #drawSessions() {
    fill(this.#sessions, sessions(this.#model.sessions));
  }
}
