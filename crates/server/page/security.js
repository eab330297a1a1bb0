// Who may register over DTLS: what each endpoint has to show, a form to change it, and what this server shows of itself.

import * as api from "./api.js";
import { act, Outcome, removal } from "./action.js";
import { announce, button, fill, h } from "./dom.js";
import { SecurityForm } from "./security_form.js";

const MODES = { psk: "Pre-shared key", rpk: "Raw public key", x509: "Certificate" };

export class Security {
  #entries = new Map(); // what endpoints have to show, by their names, without pre-shared keys
  #intro = h("p", { class: "faint" });
  #list = h("div", { class: "fleet entries" });
  #own = h("div", { class: "own-identity" });
  #formPlace = h("div", { class: "form-place" });
  #outcome = new Outcome();
  #add = button("Add credentials", () => this.#edit(null), { kind: "primary" });

  /** Shows itself in `place` until `close`. */
  constructor(place) {
    fill(place, h("section", { class: "security" },
      h("div", { class: "object-head" }, h("h1", {}, "Security"), this.#add),
      this.#outcome.element, this.#formPlace, this.#intro, this.#list,
      h("h2", {}, "This server"), this.#own));
    this.refresh();
  }

  close() {}

  async refresh() {
    try {
      const [entries, own, endpoints] = await Promise.all([api.securities(), api.serverSecurity(), api.serverEndpoints()]);
      this.#entries = new Map(entries.map((entry) => [entry.endpoint, entry.tls]));
      this.#draw(endpoints.find(({ uri }) => uri.scheme === "coaps")?.uri.full);
      fill(this.#own, identity(own));
    } catch (error) {
      this.#outcome.failure(error);
    }
  }

  #draw(address) {
    fill(this.#intro, address
      ? ["A device that is listed here registers at ", h("code", {}, address), " and nowhere else. One that is not listed registers without DTLS."]
      : "This server has no secure address: a device that is listed here cannot register.");
    const heading = (name) => h("th", { scope: "col" }, name);
    fill(this.#list, this.#entries.size
      ? h("table", {},
        h("thead", {}, h("tr", {}, ["Endpoint", "Shows itself by", "Identity", ""].map(heading))),
        h("tbody", {}, [...this.#entries].map(([endpoint, tls]) => this.#row(endpoint, tls))))
      : h("p", { class: "empty" }, "No device has credentials yet. All of this is gone when the server stops; lapwing serve --credentials begins with a file."));
  }

  #row(endpoint, { mode, details = {} }) {
    const cell = (name, ...content) => h("td", { data: { name } }, content);
    const remove = removal(this.#outcome, async () => {
      await api.removeSecurity(endpoint);
      await this.refresh();
      return `${endpoint} may register without DTLS now`;
    }, { "aria-label": `Delete ${endpoint}` });
    const shown = {
      psk: [h("code", {}, details.identity), h("div", { class: "secret" }, this.#reveal(endpoint))],
      rpk: h("code", {}, details.key),
      x509: ["Its certificate's name is ", h("code", {}, endpoint)],
    };
    return h("tr", { data: { endpoint } },
      h("th", { scope: "row" }, endpoint),
      cell("Shows itself by", MODES[mode]),
      cell("Identity", shown[mode]),
      h("td", { data: { name: "" } }, h("div", { class: "actions" },
        button("Change", () => this.#edit(endpoint), { "aria-label": `Change ${endpoint}` }),
        ...remove)));
  }

  /** A key is fetched and shown only when it is asked for. */
  #reveal(endpoint) {
    const show = button("Show the key", () => act(show, this.#outcome, async () => {
      const entry = (await api.securitiesWithKeys()).find((other) => other.endpoint === endpoint);
      show.replaceWith(h("code", {}, entry?.tls.details.key ?? "It is no longer there."));
    }), { kind: "quiet", "aria-label": `Show the key of ${endpoint}` });
    return show;
  }

  #edit(endpoint) {
    const form = new SecurityForm({
      endpoint,
      tls: this.#entries.get(endpoint),
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
}

/** What devices have to be given to know this server. */
function identity({ pubkey, certificate }) {
  const item = (name, text) => [h("dt", {}, name), h("dd", {}, h("code", { class: "der" }, text), copy(name, text))];
  if (!pubkey && !certificate) {
    return h("p", { class: "faint" }, "It has pre-shared keys only. For raw public keys and certificates it needs a key of its own: lapwing serve --key FILE.");
  }
  return h("dl", { class: "facts" },
    pubkey ? item("Public key (DER in Base64)", pubkey.b64Der) : null,
    certificate ? item("Certificate (DER in Base64)", certificate.b64Der) : null);
}

function copy(name, text) {
  const go = button("Copy", async () => {
    await navigator.clipboard.writeText(text);
    announce(`${name} copied`);
  }, { kind: "quiet", "aria-label": `Copy ${name}` });
  return go;
}
