// An action of the user: its button is busy until the answer is there, and what came of it stands beside it.

import { announce, button, fill, h, setAria } from "./dom.js";
import { Problem } from "./api.js";

/** The place near an action where its result is told. */
export class Outcome {
  element = h("div", { class: "outcome", hidden: true });
  #timer = 0;

  clear() {
    clearTimeout(this.#timer);
    this.element.hidden = true;
    fill(this.element);
  }

  success(sentence) {
    this.clear();
    this.#show("good", [h("span", {}, sentence)]);
    announce(sentence);
    this.#timer = setTimeout(() => this.clear(), 6000);
  }

  failure(error) {
    this.clear();
    const problem = error instanceof Problem ? error : new Problem({ title: error.message });
    this.#show("bad", [
      h("span", {}, problem.code ? h("strong", { class: "code" }, problem.code, " ") : null, h("strong", {}, problem.title)),
      problem.detail ? h("span", { class: "detail" }, problem.detail) : null,
      h("button", { type: "button", class: "close", aria: { label: "Dismiss" }, onclick: () => this.clear() }, "×"),
    ]);
    announce(`${problem.code} ${problem.title}. ${problem.detail}`);
  }

  #show(kind, parts) {
    this.element.className = `outcome ${kind}`;
    fill(this.element, parts);
    this.element.hidden = false;
  }
}

/**
 * Does `work` for `trigger`, a button that is busy meanwhile and ignores further presses. Tells failures in `outcome`; a
 * sentence that `work` returns is told as its success. Gives whether it worked.
 */
export async function act(trigger, outcome, work) {
  if (trigger.getAttribute("aria-busy") === "true") return false;
  setAria(trigger, "busy", true);
  try {
    const sentence = await work();
    if (typeof sentence === "string") outcome.success(sentence);
    else outcome.clear();
    return true;
  } catch (error) {
    outcome.failure(error);
    return false;
  } finally {
    setAria(trigger, "busy", null);
  }
}

/**
 * The buttons that delete something, by `work`, once it was asked whether that is meant. The first one has these `attributes`; what
 * becomes of it is told as by `act`.
 */
export function removal(outcome, work, attributes, verb = "Delete") {
  const sure = h("span", { class: "sure", hidden: true });
  const remove = button(verb, () => {
    sure.hidden = false;
    remove.hidden = true;
    yes.focus();
  }, { kind: "danger", ...attributes });
  const close = () => {
    sure.hidden = true;
    remove.hidden = false;
    remove.focus();
  };
  const yes = button(`${verb} it`, () => act(yes, outcome, async () => {
    const sentence = await work();
    close();
    return sentence;
  }), { kind: "danger" });
  sure.append(yes, button("Keep it", close));
  return [remove, sure];
}
