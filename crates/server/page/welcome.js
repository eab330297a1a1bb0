// What is shown while no gateway is chosen.

import { announce, button, h } from "./dom.js";

/** `server` is the answer of /api/server/endpoint, or null before it came; `missing` an endpoint that is not registered. */
export function welcome(server, model, missing) {
  if (missing) {
    return h("section", { class: "welcome" },
      h("h1", {}, missing, " is not registered"),
      h("p", {}, "It appears here as soon as it registers."),
      model.gateways.size ? h("p", {}, h("a", { href: "#/" }, "All gateways")) : command(server));
  }
  if (model.gateways.size) {
    return h("section", { class: "welcome" },
      h("h1", {}, "Choose a gateway"),
      h("p", {}, "Its objects, their values and every message to and from it are shown here."));
  }
  return h("section", { class: "welcome" },
    h("h1", {}, "No gateway has registered yet"),
    h("p", {}, "Start the agent on this machine, or point any LwM2M client at the server:"),
    command(server),
    h("p", { class: "faint" }, "This page needs no reload: a gateway appears when it registers."));
}

function command(server) {
  const address = server?.[0]?.uri.full ?? "coap://127.0.0.1:5683";
  const text = `lapwing run --server ${address} --endpoint my-gateway`;
  const copy = button("Copy", async () => {
    await navigator.clipboard.writeText(text);
    announce("Copied");
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  return h("div", { class: "command" }, h("code", {}, text), copy);
}
