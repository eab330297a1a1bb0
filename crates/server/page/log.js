// The exchanges with the chosen gateway: each CoAP message, newest first, an answer with the time that it took.

import { button, fill, h, setAria } from "./dom.js";
import { codeName } from "./codes.js";
import { clockTimeExact } from "./format.js";

const KEPT = 300;

/** `Uri-Path: "3", "0" - Accept: "..."` as a map from names to lists of values. */
export function options(text) {
  const map = new Map();
  for (const part of (text ?? "").split(/ - (?=[A-Z][\w-]*: )/)) {
    const [, name, rest] = /^([^:]+): ?(.*)$/.exec(part) ?? [];
    if (name) map.set(name, [...rest.matchAll(/"([^"]*)"|\(([^)]*)\)|([^,\s]+)/g)].map((match) => match[1] ?? match[2] ?? match[3]));
  }
  return map;
}

/** What a message has to do with more than itself. */
function tag(message, known, took) {
  if (known.get("Accept")?.[0] === "application/link-format") return "discover";
  if (!known.has("Observe")) return null;
  if (!message.incoming) return known.get("Observe")[0] === "1" ? "cancel" : "observe";
  return took === null ? "notify" : null;
}

/** One line about a message: what it asks or answers. */
export function summary(message) {
  if (!message.code) return { RST: "Reset", ACK: message.incoming ? "Acknowledged, answer follows" : "Acknowledged" }[message.type] ?? "Ping";
  const known = options(message.options);
  const path = known.has("Uri-Path") ? `/${known.get("Uri-Path").join("/")}` : "";
  const query = known.has("Uri-Query") ? `?${known.get("Uri-Query").join("&")}` : "";
  if (/^\d/.test(message.code)) {
    const location = known.has("Location-Path") ? ` /${known.get("Location-Path").join("/")}` : "";
    return `${message.code} ${codeName(message.code)}${location}`;
  }
  return `${message.code} ${path || "/"}${query}`;
}

export class Log {
  #element;
  #list = h("ol", { class: "messages", reversed: true, role: "list" });
  #count = h("span", { class: "count" }, "0");
  #pause;
  #empty = h("p", { class: "faint empty" }, "Messages to and from the gateway appear here.");
  #paused = false;
  #missed = 0;
  #total = 0;
  #asked = new Map(); // token and who asked -> when
  #paths = new Map(); // token -> path: a notification names none
  #endpoint = null;

  constructor(element) {
    this.#element = element;
    const body = h("div", { class: "log-body", id: "log-body", tabindex: "0", role: "region", aria: { label: "Messages" } }, this.#empty, this.#list);
    const toggle = h("button", { type: "button", class: "log-toggle", aria: { expanded: false, controls: body.id } }, "Exchanges", this.#count);
    toggle.addEventListener("click", () => setAria(toggle, "expanded", element.classList.toggle("open")));
    this.#pause = button("Pause", () => this.#togglePause(), { kind: "quiet", aria: { pressed: false } });
    fill(element,
      h("div", { class: "log-head" }, h("h2", {}, toggle),
        h("div", { class: "actions" }, this.#pause, button("Clear", () => this.#clear(), { kind: "quiet" }))),
      body);
  }

  choose(endpoint) {
    if (endpoint === this.#endpoint) return;
    this.#endpoint = endpoint;
    this.#clear();
  }

  #clear() {
    fill(this.#list);
    this.#asked.clear();
    this.#paths.clear();
    this.#total = 0;
    this.#missed = 0;
    this.#drawCount();
    this.#empty.hidden = false;
  }

  #togglePause() {
    this.#paused = !this.#paused;
    setAria(this.#pause, "pressed", this.#paused);
    this.#pause.textContent = this.#paused ? "Go on" : "Pause";
    this.#missed = 0;
    this.#drawCount();
  }

  #drawCount() {
    this.#count.textContent = this.#missed ? `${this.#total} · ${this.#missed} not shown` : String(this.#total);
  }

  add(message) {
    this.#learn(message);
    const took = this.#took(message);
    if (this.#paused) {
      this.#missed += 1;
      return this.#drawCount();
    }
    this.#total += 1;
    this.#drawCount();
    this.#empty.hidden = true;
    this.#list.prepend(this.#entry(message, took));
    while (this.#list.childElementCount > KEPT) this.#list.lastElementChild.remove();
  }

  /** Remembers what a token asks for. The oldest go: a token that still matters is asked for anew with each registration. */
  #learn(message) {
    if (message.incoming || !message.code || /^\d/.test(message.code)) return;
    this.#paths.delete(message.token);
    this.#paths.set(message.token, options(message.options).get("Uri-Path")?.join("/") ?? "");
    if (this.#paths.size > KEPT) this.#paths.delete(this.#paths.keys().next().value);
  }

  /** The milliseconds from a request to this, its answer. A notification is no answer: it asks for nothing to wait for. */
  #took(message) {
    const key = message.token;
    if (!message.code) return null;
    if (!/^\d/.test(message.code)) {
      this.#asked.set(`${key} ${message.incoming}`, message.timestamp);
      return null;
    }
    const request = `${key} ${!message.incoming}`;
    const asked = this.#asked.get(request);
    this.#asked.delete(request);
    return asked === undefined ? null : message.timestamp - asked;
  }

  #entry(message, took) {
    const failed = /^[45]/.test(message.code ?? "") || message.type === "RST";
    const known = options(message.options);
    const about = message.incoming && /^\d/.test(message.code ?? "") ? this.#paths.get(message.token) : null;
    const label = tag(message, known, took);
    const kind = failed ? " failed" : message.code ? "" : " empty-message";
    return h("li", { class: `message ${message.incoming ? "in" : "out"}${kind}` },
      h("details", {},
        h("summary", {},
          h("span", { class: "direction" },
            h("span", { aria: { hidden: true } }, message.incoming ? "←" : "→"),
            h("span", { class: "sr-only" }, message.incoming ? "from the gateway" : "to the gateway")),
          h("span", { class: "line" }, summary(message), about ? h("span", { class: "about" }, ` /${about}`) : null),
          label ? h("span", { class: "tag" }, label) : null,
          h("span", { class: "kind" }, message.type),
          took === null ? null : h("span", { class: "took" }, `${took} ms`),
          h("time", {}, clockTimeExact(message.timestamp))),
        h("dl", { class: "facts" },
          this.#fact("Message ID", String(message.mId)),
          this.#fact("Token", message.token || "none"),
          [...known].map(([name, values]) => this.#fact(name, values.join(", ") || "empty")),
          message.payload ? this.#fact("Payload", message.payload) : null)));
  }

  #fact(name, value) {
    return h("div", {}, h("dt", {}, name), h("dd", {}, h("code", {}, value)));
  }
}
