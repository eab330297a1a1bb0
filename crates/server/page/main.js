// Brings the parts of the page together: what is in the address bar, the model, the streams and the views.

import * as api from "./api.js";
import { Bootstrap } from "./bootstrap.js";
import { announce, fill, h, setAria } from "./dom.js";
import { follow, LogStream } from "./events.js";
import { ago } from "./format.js";
import { Model } from "./model.js";
import { Gateway } from "./gateway.js";
import { Log } from "./log.js";
import { Rail } from "./rail.js";
import { Security } from "./security.js";
import { welcome } from "./welcome.js";

const model = new Model();
const main = document.getElementById("main");
const log = new Log(document.getElementById("log"));
const rail = new Rail(document.getElementById("rail"), model);
const stream = new LogStream((message) => log.add(message));

let server = null;
let shown = null; // the Gateway, or another view, that is shown, if any

/** Views beside the gateways, by the address bar. */
const VIEWS = {
  "#bootstrap": { title: "Bootstrap", open: () => new Bootstrap(main, model) },
  "#security": { title: "Security", open: () => new Security(main) },
};

/** `#/gateway/3` is object 3 of a gateway, `#/gateway` its first object, one of `VIEWS` that; anything else the overview. */
function route() {
  const [, endpoint, object] = /^#\/([^/]+)(?:\/(\d+))?$/.exec(location.hash) ?? [];
  return { endpoint: endpoint && decodeURIComponent(endpoint), object: object === undefined ? null : Number(object) };
}

function show() {
  const { endpoint, object } = route();
  const gateway = model.gateways.get(endpoint);
  document.body.dataset.view = gateway ? "gateway" : "overview";
  rail.choose(endpoint);
  stream.choose(gateway ? endpoint : null);
  log.choose(gateway ? endpoint : null);
  for (const link of document.querySelectorAll(".top-link")) {
    setAria(link, "current", link.getAttribute("href") === location.hash ? "page" : null);
  }
  if (!gateway) {
    shown?.close();
    shown = VIEWS[location.hash]?.open() ?? null;
    if (shown) document.title = `${VIEWS[location.hash].title} · Lapwing`;
    else overview();
    return;
  }
  if (shown?.endpoint !== endpoint) {
    shown?.close();
    shown = new Gateway(main, model, endpoint);
  }
  shown.choose(object);
  document.title = `${endpoint} · Lapwing`;
}

function overview() {
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  document.title = "Lapwing";
  fill(main, welcome(server, model, route().endpoint));
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

let known = null; // the endpoints that were there, to say who came
function gatewaysChanged() {
  const present = [...model.gateways.values()].filter((gateway) => !gateway.gone).map((gateway) => gateway.endpoint);
  if (known) for (const endpoint of present) if (!known.includes(endpoint)) announce(`${endpoint} registered`);
  const first = !known;
  known = present;
  // With one gateway there is nothing to choose.
  if (first && !VIEWS[location.hash] && !route().endpoint && present.length === 1) location.replace(`#/${encodeURIComponent(present[0])}`);
  else if (!shown) show();
}

async function refresh() {
  let clients, endpoints, bootstrap, transfers;
  try {
    [clients, endpoints, bootstrap, transfers] =
      await Promise.all([api.clients(), api.serverEndpoints(), api.bootstrapEndpoints(), api.transfers()]);
    if (bootstrap.length) model.setSessions(await api.bootstrapSessions());
  } catch {
    return connection(false); // the stream will open again, and this is called again
  }
  server = endpoints;
  document.getElementById("bootstrap-link").hidden = !bootstrap.length;
  const address = endpoints[0]?.uri.full;
  fill(document.getElementById("where"), address ? ["Devices register at ", h("code", {}, address)] : "");
  model.setTransfers(transfers);
  model.setGateways(clients);
  shown?.refresh();
}

function connection(open) {
  const note = document.getElementById("link-state");
  note.hidden = open;
  note.textContent = open ? "" : "The server does not answer. Trying again …";
}

/** Ages and graphs go on while values stay. */
function tick() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = ago(Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
  model.tick();
}

model.on("gateways", gatewaysChanged);
model.on("gone", (endpoint) => announce(`${endpoint} is no longer registered`));
addEventListener("hashchange", () => { show(); main.focus({ preventScroll: true }); });
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
follow(model, { refresh, state: connection });
setInterval(tick, 1000);
