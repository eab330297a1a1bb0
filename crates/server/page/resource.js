// One resource: its value with its unit, what can be done with it, and on demand its history, attributes and definition.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { AttributesForm } from "./attributes.js";
import { button, fill, h, setAria, uniqueId } from "./dom.js";
import { ExecuteForm } from "./execute.js";
import { ago, fullTime, isNumeric, show, unitName } from "./format.js";
import { Graph, sparkline } from "./graph.js";
import { toggleObserve } from "./observe.js";
import { WriteForm } from "./write.js";

const KINDS = {
  string: "text", integer: "whole number", unsigned_integer: "whole number from 0", float: "number", boolean: "true or false",
  opaque: "bytes", time: "time", objlnk: "link to an instance", corelink: "links", none: "to execute",
};

export class ResourceRow {
  #model;
  #endpoint;
  #path;
  #spec;
  #ids;
  #outcome = new Outcome();
  #value = h("div", { class: "value" });
  #spark = h("div", { class: "spark-place" });
  #form = h("div", { class: "form-place" });
  #details = h("div", { class: "details", hidden: true, id: uniqueId("details") });
  #observe = null;
  #graph = null;
  #opener = null;
  element;

  constructor(model, endpoint, object, instance, resource) {
    this.#model = model;
    this.#endpoint = endpoint;
    this.#path = `/${object}/${instance}/${resource}`;
    this.#ids = { object, instance, resource };
    // A resource that no definition tells of may be able to do anything; only the gateway knows.
    this.#spec = model.resourceSpec(endpoint, object, resource) ?? {
      id: resource, name: `Resource ${resource}`, operations: "RWE", type: "", instancetype: "single", range: "", units: "", unknown: true,
    };
    const name = h("button", {
      type: "button", class: "disclose", onclick: () => this.#disclose(name), aria: { expanded: false, controls: this.#details.id },
    }, this.#spec.name);
    this.element = h("li", { class: "resource", data: { path: this.#path } },
      h("div", { class: "what" }, name, h("code", { class: "sub" }, this.#path)),
      this.#value, this.#spark, h("div", { class: "actions" }, this.#actions()),
      this.#outcome.element, this.#form, this.#details);
    this.drawValue(false);
    this.drawObserved();
  }

  #can(operation) {
    return this.#spec.operations !== "NONE" && this.#spec.operations.includes(operation);
  }

  #actions() {
    const named = (verb) => ({ aria: { label: `${verb} ${this.#spec.name}` } });
    const actions = [];
    if (this.#can("R")) {
      const read = button("Read", () => act(read, this.#outcome, () => this.#readNow()), { ...named("Read"), data: { action: "read" } });
      actions.push(read);
    }
    if (this.#can("W")) actions.push(this.#opens("Write", (done) => new WriteForm(this.#target(), this.#spec, this.#known(), done)));
    if (this.#can("R")) {
      this.#observe = button("Observe", () => act(this.#observe, this.#outcome, () => toggleObserve(this.#model, this.#endpoint, this.#path)),
        { aria: { pressed: false, label: `Observe ${this.#spec.name}` }, kind: "toggle", data: { action: "observe" } });
      actions.push(this.#observe);
    }
    if (this.#can("E")) actions.push(this.#opens("Execute", (done) => new ExecuteForm(this.#target(), this.#spec, done)));
    return actions;
  }

  #target() {
    return { endpoint: this.#endpoint, path: this.#path };
  }

  #known() {
    return this.#model.value(this.#endpoint, this.#path);
  }

  /** A button that opens a form below the row and closes it again. */
  #opens(verb, make) {
    const opener = button(verb, () => {
      const mine = this.#opener === opener;
      this.#closeForm();
      if (mine) return;
      const form = make({
        done: (sentence) => {
          this.#closeForm();
          this.#outcome.success(sentence);
          // What was written may have been changed on the way: show what the gateway has now.
          if (verb === "Write" && this.#can("R")) this.#readNow().catch((error) => this.#outcome.failure(error));
        },
        cancelled: () => this.#closeForm(),
      });
      this.#outcome.clear();
      fill(this.#form, form.element);
      this.#opener = opener;
      setAria(opener, "expanded", true);
      form.focus();
    }, { aria: { expanded: false, label: `${verb} ${this.#spec.name}` }, data: { action: verb.toLowerCase() } });
    return opener;
  }

  #closeForm() {
    const opener = this.#opener;
    if (!opener) return;
    fill(this.#form);
    setAria(opener, "expanded", false);
    this.#opener = null;
    opener.focus();
  }

  async #readNow() {
    const answer = await api.read(this.#endpoint, this.#path);
    this.#model.absorb(this.#endpoint, this.#path, answer.content);
  }

  /** Shows the value that the model has. `moved` lets the eye follow a change. */
  drawValue(moved) {
    const known = this.#known();
    const units = unitName(this.#spec.units);
    if (!known) {
      fill(this.#value, this.#can("R") ? h("span", { class: "faint" }, "not read yet")
        : this.#can("W") ? h("span", { class: "faint" }, "can only be written") : null);
      return;
    }
    const values = known.values ? Object.entries(known.values) : [[null, known.value]];
    fill(this.#value,
      values.length === 0 ? h("span", { class: "faint" }, "no values") : null,
      h("div", { class: "values", title: fullTime(known.at) }, values.map(([index, value]) => this.#one(known.type, index, value, units))),
      h("time", { class: "age", data: { at: known.at }, title: fullTime(known.at) }, ago(known.at)));
    if (moved) this.#flash();
    const history = this.#model.history(this.#endpoint, this.#path);
    fill(this.#spark, sparkline(history));
    this.#graph?.draw(history);
  }

  #one(type, index, value, units) {
    const { text, groups, exact, empty, code } = show(type, value);
    // Groups stand apart by style alone, so that what is copied is the number.
    const shown = groups ? groups.map((digits) => h("span", { class: "digits" }, digits)) : text;
    return h("span", { class: "one" },
      index === null ? null : h("span", { class: "index" }, index),
      empty ? h("span", { class: "faint" }, "empty") : h(code ? "code" : "span", { class: "reading", title: exact && exact !== text ? exact : null }, shown),
      units && !empty ? h("span", { class: "units" }, units) : null);
  }

  #flash() {
    this.#value.classList.remove("moved");
    void this.#value.offsetWidth; // restarts the animation
    this.#value.classList.add("moved");
  }

  /** Shows whether the resource is observed, by itself or with its instance or object. */
  drawObserved() {
    const covered = this.#model.isCovered(this.#endpoint, this.#path);
    this.element.classList.toggle("observed", covered);
    if (!this.#observe) return;
    const own = this.#model.isObserved(this.#endpoint, this.#path);
    setAria(this.#observe, "pressed", own);
    this.#observe.textContent = own ? "Observing" : "Observe";
  }

  #disclose(name) {
    const open = this.#details.hidden;
    this.#details.hidden = !open;
    setAria(name, "expanded", open);
    if (!open) {
      this.#graph = null;
      fill(this.#details);
      return;
    }
    this.#graph = isNumeric(this.#spec.type || this.#known()?.type) ? new Graph(this.#spec.name, unitName(this.#spec.units)) : null;
    const fact = (term, ...description) => h("div", {}, h("dt", {}, term), h("dd", {}, description));
    const { object, instance, resource } = this.#ids;
    fill(this.#details,
      this.#graph?.element,
      h("dl", { class: "facts" },
        fact("Type", KINDS[this.#spec.type] ?? "unknown"),
        this.#spec.range ? fact("Range", this.#spec.range) : null,
        this.#spec.units ? fact("Unit", this.#spec.units) : null,
        fact("Operations", this.#spec.unknown ? "unknown" : operations(this.#spec.operations)),
        fact("Values", this.#spec.instancetype === "multiple" ? "several" : "one")),
      this.#can("R") ? new AttributesForm(this.#target(), this.#model.attributes(this.#endpoint, object, instance, resource),
        isNumeric(this.#spec.type)).element : null);
    this.#graph?.draw(this.#model.history(this.#endpoint, this.#path));
  }

  /** Lets a graph go on while the value stays: called from time to time. */
  tick() {
    if (!this.#model.isCovered(this.#endpoint, this.#path)) return;
    const history = this.#model.history(this.#endpoint, this.#path);
    this.#graph?.draw(history);
    fill(this.#spark, sparkline(history));
  }
}

function operations(letters) {
  const names = { R: "read", W: "write", E: "execute" };
  return [...letters].map((letter) => names[letter]).filter(Boolean).join(", ") || "none";
}
