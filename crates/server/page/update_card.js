// The card of an instance of Firmware Update or Software Management: where it is, how far a package has come, and what can be
// done next.

import * as api from "./api.js";
import { act, Outcome, removal } from "./action.js";
import { announce, button, fill, h, setAria } from "./dom.js";
import { rate, size } from "./format.js";
import { observe } from "./observe.js";
import { PackageForm } from "./package_form.js";
import { KINDS } from "./update_kinds.js";

const OPEN = ["waiting", "running"];

export class UpdateCard {
  #model;
  #endpoint;
  #object;
  #instance;
  #kind;
  #stop = [];
  #outcome = new Outcome();
  #chip = h("span", { class: "state" });
  #about = h("span", { class: "sub" });
  #steps = h("ol", { class: "steps", role: "list" });
  #bar = h("progress", {});
  #reading = h("p", { class: "transfer-reading" });
  #progress = h("div", { class: "transfer", hidden: true }, this.#bar, this.#reading);
  #result = h("p", { class: "update-result", hidden: true });
  #buttons = h("div", { class: "actions" });
  #actions = [];
  #cancel = null;
  #form;
  #uploading = null; // { sent, size } while a file is on its way to the server
  #speed = { bytes: 0, at: 0, value: null };
  #followed = false;
  #state; // as it was drawn last
  #said = null;
  element;

  constructor(model, endpoint, object, instance) {
    this.#model = model;
    this.#endpoint = endpoint;
    this.#object = object;
    this.#instance = instance;
    this.#kind = KINDS[object];
    const { package: pack, uri } = this.#kind.resources;
    this.#form = new PackageForm({
      endpoint,
      secure: Boolean(model.gateways.get(endpoint)?.secure),
      what: this.#kind.what,
      paths: { package: this.#at(pack), uri: this.#at(uri) },
      progress: (sent, whole) => { this.#uploading = sent === null ? null : { sent, whole }; this.#draw(); },
      sent: (transfer) => { model.transferTold(transfer); this.#follow(); },
    });
    this.#makeButtons();
    this.element = h("section", { class: "update", aria: { label: this.#kind.title } },
      h("div", { class: "update-head" }, h("h3", {}, this.#kind.title, " ", this.#about), this.#chip),
      this.#steps, this.#progress, this.#result, this.#form.element, this.#buttons, this.#outcome.element);
    this.#stop = [
      model.on("value", (detail) => { if (detail.endpoint === endpoint && detail.path.startsWith(`${this.#path}/`)) this.#draw(); }),
      model.on("offered", (which) => { if (which === endpoint) this.#draw(); }),
      model.on("transfer", (transfer) => this.#transferTold(transfer)),
    ];
    this.#draw();
  }

  /** Whether an object has such a card. */
  static has(object) {
    return object in KINDS;
  }

  get #path() { return `/${this.#object}/${this.#instance}`; }

  #at(resource) { return `${this.#path}/${resource}`; }

  close() {
    for (const stop of this.#stop) stop();
  }

  #value(name) {
    const value = this.#model.value(this.#endpoint, this.#at(this.#kind.resources[name]))?.value;
    return ["state", "result"].includes(name) && value !== undefined ? Number(value) : value;
  }

  #values() {
    return { state: this.#value("state"), result: this.#value("result"), activation: this.#value("activation") };
  }

  #transfer() {
    return this.#model.transfer(this.#endpoint, this.#path);
  }

  /** Whether a transfer goes on. The server does not know that a gateway has given up to fetch: its result tells. */
  #isOpen(transfer, { state, result }) {
    if (!transfer || !OPEN.includes(transfer.state)) return false;
    return transfer.kind === "push" || this.#kind.busy.includes(state) || result === undefined || this.#kind.undecided.includes(result);
  }

  #makeButtons() {
    const execute = (resource) => api.execute(this.#endpoint, this.#at(resource));
    for (const action of this.#kind.actions) {
      const work = async () => {
        await this.#follow();
        await execute(action.resource);
        return action.done;
      };
      if (action.danger) {
        const [first, sure] = removal(this.#outcome, work, {}, action.verb);
        this.#actions.push({ ...action, elements: [h("span", {}, first, sure)] });
      } else {
        const press = button(action.verb, () => act(press, this.#outcome, work), { kind: action.primary ? "primary" : "" });
        this.#actions.push({ ...action, elements: [press] });
      }
    }
    this.#cancel = button("Cancel", () => act(this.#cancel, this.#outcome, () => this.#end()));
    fill(this.#buttons, this.#actions.map(({ elements }) => elements), this.#cancel);
  }

  /** Ends what goes on: here, and at the gateway. */
  async #end() {
    const transfer = this.#transfer();
    const open = this.#isOpen(transfer, this.#values());
    if (open) this.#model.transferTold(await api.endTransfer(transfer.id));
    const { cancel } = this.#kind;
    if (!cancel) return "Nothing more is sent";
    try {
      const offered = this.#model.resources(this.#endpoint, this.#object, this.#instance);
      if (offered.includes(cancel.resource)) await api.execute(this.#endpoint, this.#at(cancel.resource));
      else await api.write(this.#endpoint, this.#at(cancel.reset), { id: cancel.reset, type: "string", value: "" });
    } catch (error) {
      // It had not begun, or was over already.
      if (!open || error.code !== "4.05") throw error;
    }
    await this.#read();
    return "Cancelled";
  }

  /** Hears from now on where the gateway is. One that cannot be observed is asked at the turns of a transfer only. */
  async #follow() {
    if (this.#followed) return;
    this.#followed = true;
    const { result, state, activation } = this.#kind.resources;
    for (const resource of [result, state, activation].filter((id) => id !== undefined)) {
      const path = this.#at(resource);
      if (this.#model.isCovered(this.#endpoint, path)) continue;
      try {
        await observe(this.#model, this.#endpoint, path);
      } catch {
        this.#followed = false;
      }
    }
  }

  async #read() {
    try {
      const asked = performance.now();
      const answer = await api.read(this.#endpoint, this.#path);
      this.#model.absorb(this.#endpoint, this.#path, answer.content, asked);
    } catch {
      // The next notification or reading tells.
    }
  }

  #transferTold(transfer) {
    if (transfer.ep !== this.#endpoint || !transfer.path.startsWith(`${this.#path}/`)) return;
    const now = performance.now();
    const { bytes, at, id } = this.#speed;
    if (transfer.id !== id || transfer.bytes < bytes) {
      this.#speed = { id: transfer.id, bytes: transfer.bytes, at: now, value: null };
    } else if (now - at >= 1000) {
      this.#speed = { id, bytes: transfer.bytes, at: now, value: (1000 * (transfer.bytes - bytes)) / (now - at) };
    }
    if (OPEN.includes(transfer.state)) this.#outcome.clear();
    else this.#read();
    if (transfer.state === "failed") this.#outcome.failure(new api.Problem({ title: "The package was not taken", detail: transfer.error }));
    this.#draw();
  }

  #draw() {
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    this.#drawAll();
    // What had the focus may have gone: then what can be done next has it.
    if (focused && !focused.checkVisibility()) [...this.element.querySelectorAll(".button")].find((next) => next.checkVisibility())?.focus();
  }

  #drawAll() {
    const values = this.#values();
    const { state } = values;
    const { states, busy, takes, cancel } = this.#kind;
    const transfer = this.#transfer();
    const open = this.#isOpen(transfer, values);
    if (busy.includes(state)) this.#follow();
    // With the state, name and version of the package may be others.
    if (this.#state !== undefined && this.#state !== state) this.#read();
    this.#state = state;
    this.#chip.textContent = states[state] ?? "Not read yet";
    this.#chip.classList.toggle("moving", busy.includes(state) || open);
    fill(this.#about, [this.#value("name"), this.#value("version")].filter(Boolean).join(" "));
    this.#drawSteps(state);
    this.#drawProgress(state, transfer, open);
    this.#drawResult(values, open);
    this.#form.element.hidden = open || this.#uploading !== null ? true : state !== undefined && !takes.includes(state);
    // The form is not taken away while it is busy with what is shown above it.
    if (this.#uploading !== null) this.#form.element.hidden = false;
    for (const { when, elements } of this.#actions) for (const element of elements) element.hidden = open || !when(values);
    this.#cancel.hidden = !open && !cancel?.when(values);
    this.#form.lead(state === undefined || takes.indexOf(state) === 0);
    this.#say(states[state]);
  }

  #drawSteps(state) {
    if (this.#steps.childElementCount === 0) fill(this.#steps, this.#kind.states.map((name) => h("li", {}, name)));
    [...this.#steps.children].forEach((step, index) => {
      setAria(step, "current", index === state ? "step" : null);
      step.classList.toggle("passed", index < state);
    });
  }

  /** By bytes where there are any to count; else it only shows that something goes on. */
  #drawProgress(state, transfer, open) {
    const { states, busy, what } = this.#kind;
    const counted = this.#uploading
      ? { verb: "To the server", bytes: this.#uploading.sent, whole: this.#uploading.whole }
      : open ? { verb: transfer.kind === "push" ? "To the gateway" : "Fetched by the gateway", bytes: transfer.bytes, whole: transfer.size } : null;
    this.#progress.hidden = !counted && !busy.includes(state);
    if (this.#progress.hidden) return;
    const waits = open && transfer.state === "waiting" && !this.#uploading;
    if (counted && counted.whole > 0 && !waits) {
      Object.assign(this.#bar, { max: counted.whole, value: counted.bytes });
    } else {
      this.#bar.removeAttribute("value");
    }
    setAria(this.#bar, "label", counted ? `Progress of the ${what}` : states[state]);
    this.#reading.textContent = waits ? "Waiting for the gateway to fetch it" : counted ? this.#counted(counted) : `${states[state]} …`;
  }

  #counted({ verb, bytes, whole }) {
    const percent = whole > 0 ? Math.floor((100 * bytes) / whole) : 100;
    const speed = this.#uploading ? null : this.#speed.value;
    return [`${verb}: ${size(bytes)} of ${size(whole)}`, `${percent} %`, speed ? rate(speed) : null].filter(Boolean).join(" · ");
  }

  #drawResult({ state, result }, open) {
    const [tone, sentence] = this.#kind.results[result] ?? ["", result === undefined ? "" : `Result ${result}`];
    // What came of the last one is of no interest while another is on its way.
    this.#result.hidden = !sentence || open || this.#kind.busy.includes(state);
    this.#result.className = `update-result ${tone}`.trim();
    this.#result.textContent = sentence;
  }

  /** Where it is, and what came of it, whichever of them is told first. */
  #say(name) {
    if (name === undefined) return;
    const sentence = `${this.#kind.title}: ${[name, this.#result.hidden ? "" : this.#result.textContent].filter(Boolean).join(". ")}`;
    if (this.#said !== null && this.#said !== sentence) announce(sentence);
    this.#said = sentence;
  }
}
