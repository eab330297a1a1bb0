// The form of one endpoint's credentials.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { Credentials, name, randomKey } from "./credentials.js";
import { Field, form } from "./field.js";

export class SecurityForm {
  #endpoint; // null for a new one
  #name;
  #credentials;
  #outcome = new Outcome();
  #saved;
  element;

  /** `tls` is what the endpoint has to show so far, without a pre-shared key: another one takes its place. */
  constructor({ endpoint, tls, saved, cancelled }) {
    this.#endpoint = endpoint;
    this.#saved = saved;
    const details = tls?.details ?? {};
    this.#name = new Field({ label: "Endpoint", type: "string", value: "" });
    name({ endpoint: this.#name });
    this.#name.element.hidden = endpoint !== null;
    this.#credentials = new Credentials({
      label: "It shows itself by",
      modes: [["psk", "Pre-shared key"], ["rpk", "Raw public key"], ["x509", "Certificate with the endpoint as its name"]],
      mode: tls?.mode ?? "psk",
      fields: {
        identity: new Field({ label: "Identity", type: "string", value: details.identity ?? "" }),
        key: new Field({ label: endpoint ? "New key" : "Key", type: "opaque", value: randomKey() }),
        publicKey: new Field({ label: "Its public key (DER)", type: "opaque", value: tls?.mode === "rpk" ? details.key : "" }),
      },
      needs: { psk: ["identity", "key"], rpk: ["publicKey"], x509: [] },
    });
    this.element = form({ label: `Credentials of ${endpoint ?? "a device"}`, verb: "Save", submit: (go) => this.#submit(go), cancelled },
      this.#name.element, this.#credentials.element, this.#outcome.element);
  }

  focus() {
    if (this.#endpoint === null) this.#name.focus();
    else this.#credentials.focus();
  }

  async #submit(go) {
    const [endpoint, credentials] = [this.#endpoint ?? this.#name.read()?.value, this.#credentials.read()];
    if (endpoint === undefined || !credentials) return;
    const worked = await act(go, this.#outcome, async () => {
      const { identity, key, publicKey } = credentials;
      const mode = this.#credentials.mode;
      const details = { psk: { identity, key }, rpk: { key: publicKey } }[mode];
      await api.saveSecurity({ endpoint, tls: { mode, details } });
    });
    if (worked) this.#saved(endpoint);
  }
}
