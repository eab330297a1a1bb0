// The form that executes a resource. It asks first: some of them reboot the gateway.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { Field, form } from "./field.js";

export class ExecuteForm {
  #target;
  #spec;
  #done;
  #outcome = new Outcome();
  #parameters = new Field({ label: "Arguments", type: "string", hint: "Mostly none; else such as 5 or 0='text',1" });
  element;

  constructor(target, spec, { done, cancelled }) {
    this.#target = target;
    this.#spec = spec;
    this.#done = done;
    this.element = form({ label: `Execute ${spec.name}`, verb: `Execute ${spec.name}`, kind: "primary", submit: (go) => this.#submit(go), cancelled },
      this.#parameters.element, this.#outcome.element);
  }

  focus() {
    this.#parameters.focus();
  }

  async #submit(go) {
    const parameters = this.#parameters.read().value;
    const worked = await act(go, this.#outcome, async () => {
      await api.execute(this.#target.endpoint, this.#target.path, parameters);
    });
    if (worked) this.#done(`${this.#spec.name} is executed`);
  }
}
