// The form of one endpoint's bootstrap: how it proves itself here, and the servers that it gets.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { choice, Credentials, name, randomKey, toHex } from "./credentials.js";
import { button, h } from "./dom.js";
import { Field, form } from "./field.js";

const USAGES = ["CA_CONSTRAINT", "SERVICE_CERTIFICATE_CONSTRAINT", "TRUST_ANCHOR_ASSERTION", "DOMAIN_ISSUER_CERTIFICATE"];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const fromHex = (digits) => (digits.match(/../g) ?? []).map((pair) => parseInt(pair, 16));

function tick(label, checked) {
  const box = h("input", { type: "checkbox", checked });
  return { box, element: h("label", { class: "tick" }, box, " ", label) };
}

/** One server that the device gets. */
class ServerPart {
  #instance;
  #account;
  #uri;
  #ssid;
  #lifetime;
  #credentials;
  #known;
  #usage;
  element;

  constructor({ instance = {}, account = {}, ssid, removed }) {
    this.#instance = instance;
    this.#account = account;
    const fresh = !account.uri;
    const bytes = (name, label) => new Field({ label, type: "opaque", value: toHex(account[name]) });
    this.#uri = new Field({ label: "Server URI", type: "string", value: account.uri ?? "", hint: "coap://host or coaps://host" });
    this.#ssid = new Field({ label: "Short Server ID", type: "integer", value: instance.shortId ?? ssid, range: "1..65534" });
    this.#lifetime = new Field({ label: "Lifetime", type: "integer", value: instance.lifetime ?? 300, units: "s" });
    const identity = account.securityMode === "PSK" ? decoder.decode(new Uint8Array(account.publicKeyOrId)) : "";
    this.#usage = choice("Certificate usage", USAGES.map((name, at) => [name, `${at} ${name.toLowerCase().replaceAll("_", " ")}`]),
      account.certificateUsage ?? USAGES[3]);
    this.#credentials = new Credentials({
      label: "Security",
      modes: [["NO_SEC", "No security"], ["PSK", "Pre-shared key"], ["RPK", "Raw public key"], ["X509", "Certificate"]],
      mode: account.securityMode ?? "PSK",
      fields: {
        identity: new Field({ label: "Identity", type: "string", value: identity }),
        key: new Field({ label: "Key", type: "opaque", value: fresh ? randomKey() : toHex(account.secretKey) }),
        publicKeyOrId: bytes("publicKeyOrId", "Device's public key or certificate (DER)"),
        secretKey: bytes("secretKey", "Device's private key (PKCS #8)"),
        serverPublicKey: bytes("serverPublicKey", "Server's public key or certificate (DER)"),
        usage: { element: this.#usage.element, read: () => ({ value: this.#usage.select.value }) },
      },
      needs: {
        NO_SEC: [], PSK: ["identity", "key"], RPK: ["publicKeyOrId", "secretKey", "serverPublicKey"],
        X509: ["publicKeyOrId", "secretKey", "serverPublicKey", "usage"],
      },
    });
    this.#known = tick("This server shall know the device by the same credentials", fresh);
    name({ uri: this.#uri, ssid: this.#ssid, lifetime: this.#lifetime });
    this.element = h("fieldset", { class: "bootstrap-server" }, h("legend", {}, "Server"),
      h("div", { class: "fields create" }, this.#uri.element, this.#ssid.element, this.#lifetime.element),
      this.#credentials.element, this.#known.element,
      removed ? button("Remove this server", () => removed(this), { kind: "danger" }) : null);
  }

  /** `{ account, instance, known }`; null with what is wrong shown. `known` is what this server is to know, if anything. */
  read() {
    const [uri, ssid, lifetime, credentials] = [this.#uri, this.#ssid, this.#lifetime, this.#credentials].map((part) => part.read());
    if (!uri || !ssid || !lifetime || !credentials) return null;
    const mode = this.#credentials.mode;
    const account = {
      ...this.#account, uri: uri.value, serverId: Number(ssid.value), securityMode: mode, bootstrapServer: false,
      publicKeyOrId: [], secretKey: [], serverPublicKey: [], certificateUsage: credentials.usage ?? null,
    };
    if (mode === "PSK") {
      account.publicKeyOrId = [...encoder.encode(credentials.identity)];
      account.secretKey = fromHex(credentials.key);
    } else {
      for (const name of ["publicKeyOrId", "secretKey", "serverPublicKey"]) account[name] = fromHex(credentials[name] ?? "");
    }
    const instance = { ...this.#instance, shortId: Number(ssid.value), lifetime: Number(lifetime.value) };
    return { account, instance, known: this.#known.box.checked ? proof(mode, credentials) : null };
  }
}

/** What the security store has for these credentials. */
function proof(mode, { identity, key, publicKeyOrId }) {
  switch (mode) {
    case "PSK": return { mode: "psk", details: { identity, key } };
    case "RPK": return { mode: "rpk", details: { key: publicKeyOrId } };
    case "X509": return { mode: "x509" };
    default: return null;
  }
}

export class BootstrapForm {
  #endpoint;
  #name;
  #proof;
  #auto;
  #clean;
  #servers = [];
  #place = h("div", { class: "instances" });
  #kept; // the accounts of bootstrap servers in the configuration: they stay as they are
  #rest; // what the form does not show
  #outcome = new Outcome();
  #saved;
  element;

  constructor({ endpoint, configuration = {}, key, saved, cancelled }) {
    this.#endpoint = endpoint;
    this.#saved = saved;
    this.#name = new Field({ label: "Endpoint", type: "string", value: endpoint ?? "" });
    name({ endpoint: this.#name });
    this.#proof = new Credentials({
      label: "It proves itself to this bootstrap server by",
      modes: [["psk", "Pre-shared key"], ["rpk", "Raw public key"], ["x509", "Certificate"], ["none", "Nothing: its name is enough"]],
      mode: key?.mode ?? (endpoint ? "none" : "psk"),
      fields: {
        identity: new Field({ label: "Identity", type: "string", value: key?.details?.identity ?? "" }),
        key: new Field({ label: "Key", type: "opaque", value: (key?.mode === "psk" && key.details.key) || randomKey() }),
        publicKey: new Field({ label: "Its public key (DER)", type: "opaque", value: key?.mode === "rpk" ? key.details.key : "" }),
      },
      needs: { none: [], psk: ["identity", "key"], rpk: ["publicKey"], x509: [] },
    });
    this.#auto = tick("Ask the device which account is this bootstrap server's, and number the others around it", configuration.autoIdForSecurityObject ?? true);
    this.#clean = tick("Delete its other accounts and servers first (/0 and /1)", (configuration.toDelete ?? ["/0", "/1"]).length > 0);
    const { security = {}, servers = {}, ...rest } = configuration;
    this.#rest = rest;
    this.#kept = Object.entries(security).filter(([, account]) => account.bootstrapServer);
    for (const account of Object.values(security).filter((account) => !account.bootstrapServer)) {
      this.#push({ account, instance: Object.values(servers).find((server) => server.shortId === account.serverId) });
    }
    if (!this.#servers.length) this.#push({ ssid: 101 });
    const more = button("Another server", () => this.#push({ ssid: 101 + this.#servers.length }));
    this.element = form({ label: `Bootstrap of ${endpoint ?? "a new endpoint"}`, verb: "Save", submit: (go) => this.#submit(go), cancelled },
      this.#name.element, this.#proof.element, this.#place, h("div", {}, more), this.#auto.element, this.#clean.element, this.#outcome.element);
  }

  focus() {
    this.#name.focus();
  }

  #push(options) {
    const removed = this.#servers.length ? (part) => this.#remove(part) : null;
    const part = new ServerPart({ ...options, removed });
    this.#servers.push(part);
    this.#place.append(part.element);
  }

  #remove(part) {
    this.#servers = this.#servers.filter((other) => other !== part);
    part.element.remove();
  }

  /** The configuration as the API has it; null with what is wrong shown. */
  #read() {
    const parts = this.#servers.map((part) => part.read());
    if (parts.includes(null)) return null;
    const security = Object.fromEntries(this.#kept);
    const servers = {};
    // Instance 0 is by custom the bootstrap server's.
    let id = 1;
    parts.forEach(({ account, instance }, at) => {
      while (id in security) id += 1;
      security[id] = account;
      servers[at] = instance;
    });
    const deletes = this.#rest.toDelete?.length ? this.#rest.toDelete : ["/0", "/1"];
    const configuration = {
      ...this.#rest, security, servers, autoIdForSecurityObject: this.#auto.box.checked, toDelete: this.#clean.box.checked ? deletes : [],
    };
    return { configuration, known: parts.map((part) => part.known).find((known) => known) };
  }

  async #submit(go) {
    const [name, credentials] = [this.#name.read(), this.#proof.read()];
    const read = this.#read();
    if (!name || !credentials || !read) return;
    const endpoint = name.value;
    const worked = await act(go, this.#outcome, async () => {
      const mode = this.#proof.mode;
      await api.saveBootstrap(endpoint, read.configuration);
      if (mode === "none") await api.removeBootstrapKey(endpoint);
      else await api.saveBootstrapKey({ endpoint, tls: proof(mode.toUpperCase(), { ...credentials, publicKeyOrId: credentials.publicKey }) });
      if (read.known) await api.saveSecurity({ endpoint, tls: read.known });
      if (this.#endpoint && this.#endpoint !== endpoint) {
        await api.removeBootstrap(this.#endpoint);
        await api.removeBootstrapKey(this.#endpoint);
      }
    });
    if (worked) this.#saved(endpoint);
  }
}
