// The form that sends a package to a gateway: a file of this computer or a hosted one, pushed or fetched.

import * as api from "./api.js";
import { act, Outcome } from "./action.js";
import { fill, h, uniqueId } from "./dom.js";
import { form } from "./field.js";
import { size } from "./format.js";

const WAYS = [
  ["push", "The server pushes it"],
  ["coap", "The gateway fetches it over CoAP"],
  ["coaps", "The gateway fetches it over CoAP and DTLS"],
  ["http", "The gateway fetches it over HTTP"],
];

/** A name that the server takes for a file of this computer. */
export const hostedName = (name) => name.replace(/[^A-Za-z0-9._+~-]/g, "_").replace(/^\.+/, "").slice(-100) || "package";

export class PackageForm {
  #endpoint;
  #paths;
  #progress;
  #sent;
  #outcome = new Outcome();
  #file = h("input", { type: "file", id: uniqueId("file") });
  #fileField;
  #hosted = h("select", { id: uniqueId("hosted") });
  #way = h("select", { id: uniqueId("way") });
  element;

  /** `secure` tells whether the gateway has credentials for this server; `paths` has those of the resources `package` and `uri`; `progress` hears how much of a file has reached the server, `sent` when all is under way. */
  constructor({ endpoint, secure, what, paths, progress, sent }) {
    this.#endpoint = endpoint;
    this.#paths = paths;
    this.#progress = progress;
    this.#sent = sent;
    fill(this.#way, WAYS.filter(([way]) => secure || way !== "coaps").map(([way, text]) => h("option", { value: way }, text)));
    const field = (label, input, hint) => h("div", { class: "field" }, h("label", { for: input.id }, label), input, hint ?? null);
    this.#fileField = field("File", this.#file);
    this.#hosted.addEventListener("change", () => this.#choose());
    for (const input of [this.#file, this.#hosted, this.#way]) input.addEventListener("change", () => this.#outcome.clear());
    this.element = form({ label: `Send ${what}`, verb: `Send ${what}`, submit: (go) => this.#submit(go) },
      h("div", { class: "fields package-fields" },
        field("Package", this.#hosted), this.#fileField, field("How", this.#way)),
      this.#outcome.element);
    this.refresh();
  }

  /** Whether this is what comes next, rather than what else may be done. */
  lead(yes) {
    this.element.querySelector("[type=submit]").classList.toggle("primary", yes);
  }

  /** Asks anew which files are hosted. */
  async refresh() {
    const chosen = this.#hosted.value;
    const { files } = await api.files().catch(() => ({ files: [] }));
    fill(this.#hosted,
      h("option", { value: "" }, "A file of this computer"),
      files.map(({ name, size: bytes }) => h("option", { value: name, selected: name === chosen }, `${name}, ${size(bytes)}, hosted by the server`)));
    this.#choose();
  }

  #choose() {
    this.#fileField.hidden = this.#hosted.value !== "";
  }

  #submit(go) {
    return act(go, this.#outcome, async () => {
      const local = this.#hosted.value === "" ? this.#file.files[0] : null;
      if (this.#hosted.value === "" && !local) {
        this.#file.focus();
        throw new Error("Choose a file first");
      }
      const way = this.#way.value;
      try {
        const transfer = way === "push" ? await this.#push(local) : await this.#host(local, way);
        this.#sent(transfer);
      } finally {
        this.#progress(null);
      }
    });
  }

  #push(local) {
    if (!local) return api.pushHosted(this.#endpoint, this.#paths.package, this.#hosted.value);
    return api.pushFile(this.#endpoint, this.#paths.package, local, (sent) => this.#progress(sent, local.size));
  }

  async #host(local, scheme) {
    let name = this.#hosted.value;
    if (local) {
      name = hostedName(local.name);
      await api.hostFile(name, local, (sent) => this.#progress(sent, local.size));
      await this.refresh();
    }
    return (await api.pull(this.#endpoint, this.#paths.uri, name, scheme)).transfer;
  }
}
