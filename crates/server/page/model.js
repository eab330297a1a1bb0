// What the page knows: gateways, their definitions, values and histories. Views listen, nothing here draws.

const HISTORY = 600;
const SESSIONS = 500;

/** A key of a value: one path of one gateway. */
const at = (endpoint, path) => `${endpoint} ${path}`;

export class Model {
  #listeners = new Map();
  gateways = new Map(); // endpoint -> Registration, with `gone` once it is no longer registered
  specs = new Map(); // endpoint -> Map(object id -> ObjectSpec)
  offered = new Map(); // "endpoint /3/0" -> Map(resource id -> attributes), from Discover
  sessions = []; // what was told of bootstrap sessions, oldest first
  #transfers = new Map(); // "endpoint /5/0" -> Transfer, the last one
  #values = new Map(); // "endpoint /3/0/9" -> { type, value | values, at }
  #history = new Map(); // same keys -> [{ at, value }], numbers only
  #observed = new Set(); // "endpoint /3/0/9", at any level

  /** Calls `listener` on each `topic` event; returns how to stop. */
  on(topic, listener) {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  #tell(topic, detail) {
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener(detail);
  }

  // Bootstrap

  setSessions(events) {
    this.sessions = events;
    this.#tell("sessions");
  }

  sessionTold(event) {
    this.sessions = [...this.sessions, event].slice(-SESSIONS);
    this.#tell("sessions");
  }

  /** A second went by. */
  tick() {
    this.#tell("tick");
  }

  // Gateways

  /** The whole list, from the server: whoever is not in it is gone. */
  setGateways(registrations) {
    const present = new Set(registrations.map((registration) => registration.endpoint));
    for (const [endpoint, gateway] of this.gateways) if (!present.has(endpoint) && !gateway.gone) gateway.gone = Date.now();
    for (const registration of registrations) this.#keep(registration);
    this.#tell("gateways");
  }

  registered(registration) {
    this.#keep(registration);
    this.#tell("gateways");
    this.#tell("registered", registration.endpoint);
  }

  updated(registration) {
    const before = this.gateways.get(registration.endpoint);
    this.#keep(registration);
    this.#tell("gateways");
    if (JSON.stringify(before?.objectLinks) !== JSON.stringify(registration.objectLinks)) {
      this.#tell("objects", registration.endpoint);
    }
  }

  deregistered(registration) {
    const gateway = this.gateways.get(registration.endpoint);
    if (!gateway || gateway.registrationId !== registration.registrationId) return;
    gateway.gone = Date.now();
    this.#tell("gateways");
    this.#tell("gone", registration.endpoint);
  }

  #keep(registration) {
    if (this.gateways.get(registration.endpoint)?.registrationId !== registration.registrationId) {
      this.#recallObserved(registration.endpoint);
    }
    this.gateways.set(registration.endpoint, registration);
  }

  /** Object ids of a gateway, in order, with the ids of their instances. */
  objects(endpoint) {
    const gateway = this.gateways.get(endpoint);
    const objects = new Map();
    for (const { url } of gateway?.objectLinks ?? []) {
      const parts = this.#parts(gateway, url);
      if (parts.length && Number.isInteger(parts[0])) objects.set(parts[0], []);
    }
    for (const [id, instances] of Object.entries(gateway?.availableInstances ?? {})) objects.set(Number(id), instances);
    return new Map([...objects].sort(([a], [b]) => a - b));
  }

  #parts(gateway, url) {
    const root = gateway.rootPath ?? "/";
    const path = url.startsWith(root) ? url.slice(root.length) : url.slice(1);
    return path.split("/").filter((part) => part !== "").map(Number);
  }

  // Definitions

  setSpecs(endpoint, specs) {
    this.specs.set(endpoint, new Map(specs.map((spec) => [spec.id, spec])));
    this.#tell("specs", endpoint);
  }

  spec(endpoint, object) {
    return this.specs.get(endpoint)?.get(object);
  }

  resourceSpec(endpoint, object, resource) {
    return this.spec(endpoint, object)?.resourcedefs.find((definition) => definition.id === resource);
  }

  /** What Discover told of an object: which resources its instances have, and the attributes of each. */
  setOffered(endpoint, links) {
    const gateway = this.gateways.get(endpoint);
    if (!gateway) return;
    const fresh = new Map();
    for (const { url, attributes } of links) {
      const [object, instance, resource] = this.#parts(gateway, url);
      if (instance === undefined) continue;
      const key = at(endpoint, `/${object}/${instance}`);
      if (!fresh.has(key)) fresh.set(key, new Map());
      if (resource !== undefined) fresh.get(key).set(resource, attributes);
    }
    for (const [key, resources] of fresh) this.offered.set(key, resources);
    this.#tell("offered", endpoint);
  }

  /** Resource ids of an instance: as discovered, else as defined. */
  resources(endpoint, object, instance) {
    const offered = this.offered.get(at(endpoint, `/${object}/${instance}`));
    if (offered?.size) return [...offered.keys()];
    return this.spec(endpoint, object)?.resourcedefs.map((definition) => definition.id) ?? [];
  }

  attributes(endpoint, object, instance, resource) {
    return this.offered.get(at(endpoint, `/${object}/${instance}`))?.get(resource) ?? {};
  }

  // Transfers

  setTransfers(transfers) {
    for (const transfer of transfers) this.transferTold(transfer);
  }

  transferTold(transfer) {
    const key = at(transfer.ep, transfer.path.slice(0, transfer.path.lastIndexOf("/")));
    // An answer may come after the events that it was followed by.
    const known = this.#transfers.get(key);
    const over = known?.id === transfer.id && !["waiting", "running"].includes(known.state);
    if (known?.id > transfer.id || (over && known.kind === "push")) return;
    this.#transfers.set(key, transfer);
    this.#tell("transfer", transfer);
  }

  /** The last transfer to an instance. */
  transfer(endpoint, instance) {
    return this.#transfers.get(at(endpoint, instance));
  }

  // Values

  value(endpoint, path) {
    return this.#values.get(at(endpoint, path));
  }

  history(endpoint, path) {
    return this.#history.get(at(endpoint, path)) ?? [];
  }

  /**
   * Takes in a node of the API that was read from, or notified at, `path`. An answer may come behind one that is younger: what was `asked`
   * for later stays, and a notification that came since, after which any change would be notified too.
   */
  absorb(endpoint, path, node, asked = performance.now()) {
    switch (node?.kind) {
      case "obj":
        for (const instance of node.instances) this.absorb(endpoint, `/${node.id}/${instance.id}`, instance, asked);
        break;
      case "instance":
        for (const resource of node.resources) this.absorb(endpoint, `${path}/${resource.id}`, resource, asked);
        break;
      case "multiResource":
        this.#put(endpoint, path, { type: node.type, values: node.values }, asked);
        break;
      case "singleResource":
        this.#put(endpoint, path, { type: node.type, value: node.value }, asked);
        break;
      case "resourceInstance": {
        const parent = path.slice(0, path.lastIndexOf("/"));
        const values = { ...this.value(endpoint, parent)?.values, [node.id]: node.value };
        this.#put(endpoint, parent, { type: node.type, values }, asked);
        break;
      }
    }
  }

  #put(endpoint, path, value, asked) {
    const key = at(endpoint, path);
    if (this.#values.get(key)?.asked > asked) return;
    const entry = { ...value, at: Date.now(), asked };
    this.#values.set(key, entry);
    const number = entry.value === undefined ? NaN : Number(entry.value);
    if (["INTEGER", "UNSIGNED_INTEGER", "FLOAT"].includes(entry.type) && Number.isFinite(number)) {
      const history = this.#history.get(key) ?? [];
      history.push({ at: entry.at, value: number });
      if (history.length > HISTORY) history.splice(0, history.length - HISTORY);
      this.#history.set(key, history);
    }
    this.#tell("value", { endpoint, path });
  }

  // Observations

  /** Whether `path` itself is observed (not only something above it). */
  isObserved(endpoint, path) {
    return this.#observed.has(at(endpoint, path));
  }

  /** Whether `path` or something above it is observed. */
  isCovered(endpoint, path) {
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      if (this.isObserved(endpoint, path.slice(0, end))) return true;
    }
    return false;
  }

  setObserved(endpoint, path, observed) {
    const key = at(endpoint, path);
    if (this.#observed.has(key) === observed) return;
    if (observed) this.#observed.add(key);
    else this.#observed.delete(key);
    this.#rememberObserved(endpoint);
    this.#tell("observed", { endpoint, path });
  }

  // The server does not tell what is observed, so a page that is loaded again remembers it for the tab's life.
  #rememberObserved(endpoint) {
    const prefix = `${endpoint} `;
    const paths = [...this.#observed].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
    sessionStorage.setItem(`observed ${endpoint}`, JSON.stringify(paths));
  }

  #recallObserved(endpoint) {
    for (const path of JSON.parse(sessionStorage.getItem(`observed ${endpoint}`) ?? "[]")) this.#observed.add(at(endpoint, path));
  }
}
