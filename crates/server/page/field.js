// An input for one value of a type, with its label and a place for what is wrong with it.

import { h, setAria, uniqueId } from "./dom.js";
import { editable, parse, unitName } from "./format.js";

const HINTS = {
  opaque: "Hexadecimal digits, such as 0a1b",
  objlnk: "Object and instance, such as /3/0",
  time: "Local time",
  corelink: "Link-format, such as </3/0>",
};

export class Field {
  #type;
  #input;
  #error;
  element;

  /** `type` as in a definition; `value` is what stands in the input first; `optional` lets it be nothing. */
  constructor({ label, type, value, range = "", units = "", hint = "", optional = false }) {
    this.#type = type || "string";
    const id = uniqueId("field");
    this.#error = h("span", { class: "field-error", id: `${id}-error`, hidden: true });
    const hints = [hint, HINTS[this.#type], range && `Range ${range}`].filter(Boolean).join(" · ");
    this.#input = this.#make(id, editable(this.#type, value), optional);
    const described = [hints && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
    setAria(this.#input, "describedby", described);
    this.element = h("div", { class: "field" },
      h("label", { for: id }, label),
      h("div", { class: "field-line" }, this.#input, units ? h("span", { class: "units" }, unitName(units)) : null),
      hints ? h("span", { class: "hint", id: `${id}-hint` }, hints) : null,
      this.#error);
  }

  #make(id, value, optional) {
    switch (this.#type) {
      case "boolean":
        return h("select", { id },
          optional ? h("option", { value: "" }, "") : null,
          ["true", "false"].map((choice) => h("option", { value: choice, selected: !optional && value === choice }, choice)));
      case "time": return h("input", { id, type: "datetime-local", step: "1", value });
      case "opaque":
      case "corelink": return h("textarea", { id, rows: "2", spellcheck: "false" }, value);
      case "integer":
      case "unsigned_integer": return h("input", { id, type: "text", inputmode: "numeric", autocomplete: "off", value });
      case "float": return h("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", value });
      default: return h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", value });
    }
  }

  focus() {
    this.#input.focus();
    this.#input.select?.();
  }

  get isEmpty() {
    return this.#input.value === "";
  }

  /** The value as JSON of the API; or, with what is wrong shown, null. */
  read() {
    try {
      const value = parse(this.#type, this.#input.value);
      this.#tell(null);
      return { value };
    } catch (error) {
      this.#tell(error.message);
      this.#input.focus();
      return null;
    }
  }

  #tell(sentence) {
    this.#error.hidden = sentence === null;
    this.#error.textContent = sentence ?? "";
    setAria(this.#input, "invalid", sentence === null ? null : true);
  }
}

/** A form with its buttons: Enter submits, Escape cancels. `submit` gets the button that is busy meanwhile. */
export function form({ label, verb, kind = "primary", submit, cancelled }, ...children) {
  const go = h("button", { type: "submit", class: `button ${kind}` }, verb);
  const element = h("form", { class: "form", aria: { label }, novalidate: true },
    ...children,
    h("div", { class: "form-buttons" }, go, cancelled ? h("button", { type: "button", class: "button", onclick: cancelled }, "Cancel") : null));
  element.addEventListener("submit", (event) => { event.preventDefault(); submit(go); });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !cancelled) return;
    event.stopPropagation();
    cancelled();
  });
  return element;
}
