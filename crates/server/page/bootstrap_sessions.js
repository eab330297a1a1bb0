// How bootstrap sessions went: each with its steps, the newest first.

import { h } from "./dom.js";
import { clockTimeExact } from "./format.js";

const ENDS = new Map([["finished", "good"], ["failed", "bad"]]);

/** `events` are those of BSSESSION, oldest first. A session begins where a client asks. */
function grouped(events) {
  const all = [];
  const open = new Map(); // by endpoint
  for (const event of events) {
    if (event.name === "new session" || !open.has(event.endpoint)) {
      const session = { endpoint: event.endpoint, events: [] };
      open.set(event.endpoint, session);
      all.push(session);
    }
    open.get(event.endpoint).events.push(event);
  }
  return all.reverse();
}

/** All sessions. */
export function sessions(events) {
  const all = grouped(events);
  if (!all.length) return h("p", { class: "empty" }, "No device has asked for a bootstrap since the server started.");
  return h("ol", { role: "list" }, all.map(entry));
}

function entry({ endpoint, events }) {
  const last = events.at(-1);
  const end = ENDS.get(last.name);
  return h("li", { class: `session ${end ?? ""}`, data: { endpoint } },
    h("details", { open: true },
      h("summary", {}, h("strong", {}, endpoint), " ", h("span", { class: `state ${end === "good" ? "" : "gone"}` }, end ? last.name : "under way")),
      h("ol", { role: "list" }, events.map((event) => h("li", { class: "step" },
        h("time", {}, clockTimeExact(event.time)), " ", h("span", { class: "step-text" }, event.message.split("\n").join(" · ")))))));
}
