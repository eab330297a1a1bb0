// What is shown while no gateway is chosen: all of them, or how to start the first.

import { announce, button, h } from "./dom.js";
import { ago, fullTime, span } from "./format.js";

/** `server` is the answer of /api/server/endpoint, or null before it came; `missing` an endpoint that is not registered. */
export function welcome(server, model, missing) {
  if (missing) {
    return h("section", { class: "welcome" },
      h("h1", {}, missing, " is not registered"),
      h("p", {}, "It appears here as soon as it registers."),
      model.gateways.size ? h("p", {}, h("a", { href: "#/" }, "All gateways")) : command(server));
  }
  if (model.gateways.size) return fleet(model);
  return h("section", { class: "welcome" },
    h("h1", {}, "No gateway has registered yet"),
    h("p", {}, "Start the agent on this machine, or point any LwM2M client at the server:"),
    command(server),
    h("p", { class: "faint" }, "This page needs no reload: a gateway appears when it registers."));
}

function fleet(model) {
  const gateways = [...model.gateways.values()].sort((a, b) => a.endpoint.localeCompare(b.endpoint));
  const heading = (name) => h("th", { scope: "col" }, name);
  return h("section", { class: "fleet" },
    h("h1", {}, "Gateways"),
    h("table", {},
      h("thead", {}, h("tr", {}, ["Endpoint", "Address", "LwM2M", "Objects", "Lifetime", "Last update"].map(heading))),
      h("tbody", {}, gateways.map((gateway) => row(model, gateway)))));
}

function row(model, gateway) {
  const cell = (name, ...content) => h("td", { data: { name } }, content);
  const time = (at) => h("time", { title: fullTime(at), data: { at } }, ago(at));
  return h("tr", { class: gateway.gone ? "gone" : null },
    h("th", { scope: "row" }, h("a", { href: `#/${encodeURIComponent(gateway.endpoint)}` }, gateway.endpoint),
      gateway.gone ? h("span", { class: "state gone" }, "Not registered") : null),
    cell("Address", h("code", {}, gateway.address), gateway.secure ? h("span", { class: "sub" }, " DTLS") : null),
    cell("LwM2M", gateway.lwM2mVersion),
    cell("Objects", String(model.objects(gateway.endpoint).size)),
    cell("Lifetime", span(gateway.lifetime)),
    cell("Last update", time(gateway.gone || gateway.lastUpdate)));
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
