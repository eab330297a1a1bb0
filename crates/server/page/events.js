// Server-sent events: one stream of all gateways, and while the page is seen, one with the log of the chosen gateway.

/** Feeds `model` from the server. `refresh` is called each time the stream opens, `state` with whether it is open. */
export function follow(model, { refresh, state }) {
  const stream = new EventSource("/api/event");
  const on = (name, handler) => stream.addEventListener(name, ({ data }) => handler(JSON.parse(data)));
  stream.addEventListener("open", () => { state(true); refresh(); });
  stream.addEventListener("error", () => state(false));
  on("REGISTRATION", (registration) => model.registered(registration));
  on("UPDATED", ({ registration }) => model.updated(registration));
  on("DEREGISTRATION", (registration) => model.deregistered(registration));
  on("BSSESSION", (event) => model.sessionTold(event));
  on("TRANSFER", (transfer) => model.transferTold(transfer));
  on("NOTIFICATION", ({ ep, res, val }) => {
    model.absorb(ep, res, val);
    model.setObserved(ep, res, true);
  });
}

/**
 * Streams the CoAP messages of one gateway at a time to `receive`. A browser gives a host six connections in all, so a
 * hidden page lets go of this one.
 */
export class LogStream {
  #stream = null;
  #endpoint = null;
  #receive;

  constructor(receive) {
    this.#receive = receive;
    document.addEventListener("visibilitychange", () => this.#connect());
  }

  choose(endpoint) {
    if (endpoint === this.#endpoint) return;
    this.#endpoint = endpoint;
    this.#connect();
  }

  #connect() {
    this.#stream?.close();
    this.#stream = null;
    if (!this.#endpoint || document.hidden) return;
    this.#stream = new EventSource(`/api/event?ep=${encodeURIComponent(this.#endpoint)}`);
    this.#stream.addEventListener("COAPLOG", ({ data }) => this.#receive(JSON.parse(data)));
  }
}
