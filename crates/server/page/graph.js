// The history of a number as a line of steps: a value holds until the next one comes.

import { h, svg, fill, setAria } from "./dom.js";
import { clockTime, label } from "./format.js";

const WIDTH = 600;

/** Corners of the step line: `[x, y]` in a box of `WIDTH` times `height`, with the range that it spans. */
function steps(history, until, height, margin) {
  const values = history.map((point) => point.value);
  let low = Math.min(...values);
  let high = Math.max(...values);
  const flat = low === high;
  if (flat) { low -= 1; high += 1; }
  const from = history[0].at;
  // A value that has only just come holds for a while too, or it would be no more than a stroke at the edge.
  const last = values.length > 1 ? history.at(-1).at : from;
  const width = Math.max(until - from, (last - from) * 1.04, 1);
  const x = (time) => ((time - from) / width) * WIDTH;
  const y = (value) => margin + (1 - (value - low) / (high - low)) * (height - 2 * margin);
  const corners = [];
  history.forEach((point, index) => {
    if (index) corners.push([x(point.at), y(history[index - 1].value)]);
    corners.push([x(point.at), y(point.value)]);
  });
  corners.push([WIDTH, y(values.at(-1))]);
  return { corners, low: Math.min(...values), high: Math.max(...values), from, x, y };
}

const polyline = (corners) => corners.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

/** A line as small as a word, beside its value. Nothing before there are two values. */
export function sparkline(history, until = Date.now()) {
  if (history.length < 2) return null;
  const { corners } = steps(history.slice(-60), until, 100, 8);
  return svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polyline", { points: polyline(corners) }));
}

/** The graph of a resource, with its range and times, and the value under the pointer. */
export class Graph {
  #name;
  #units;
  #history = [];
  #plot = svg("svg", { viewBox: `0 0 ${WIDTH} 160`, preserveAspectRatio: "none", "aria-hidden": "true" });
  #cursor = h("span", { class: "graph-cursor", hidden: true });
  #reading = h("span", { class: "graph-reading" });
  #count = h("span");
  #high = h("span");
  #low = h("span");
  #from = h("span");
  #until = h("span", {}, "now");
  element;

  constructor(name, units) {
    this.#name = name;
    this.#units = units;
    const field = h("div", { class: "graph-field" }, this.#plot, this.#cursor);
    field.addEventListener("pointermove", (event) => this.#point(event, field));
    field.addEventListener("pointerleave", () => this.#rest());
    this.element = h("figure", { class: "graph", role: "img" },
      h("figcaption", { class: "graph-head" }, this.#count, this.#reading),
      h("div", { class: "graph-body" },
        h("div", { class: "graph-scale", aria: { hidden: true } }, this.#high, this.#low), field,
        h("div", { class: "graph-times", aria: { hidden: true } }, this.#from, this.#until)));
  }

  /** Draws `history`, of which the last value holds until `until`. */
  draw(history, until = Date.now()) {
    this.#history = history;
    this.element.hidden = history.length === 0;
    if (!history.length) return;
    const { corners, low, high, from } = steps(history, until, 160, 12);
    const line = polyline(corners);
    fill(this.#plot,
      svg("polygon", { class: "graph-area", points: `0,160 ${line} ${WIDTH},160` }),
      svg("polyline", { class: "graph-line", points: line }));
    this.#high.textContent = label(high);
    this.#low.textContent = low === high ? "" : label(low);
    this.#from.textContent = clockTime(from);
    this.until = until;
    this.#count.textContent = history.length === 1 ? "One value so far" : `${history.length} values on this page`;
    const last = history.at(-1).value;
    setAria(this.element, "label",
      `Graph of ${this.#name}: ${history.length} values since ${clockTime(from)}, last ${label(last)} ${this.#units}, ` +
      `lowest ${label(low)}, highest ${label(high)}`);
  }

  #point(event, field) {
    if (!this.#history.length) return;
    const box = field.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const from = this.#history[0].at;
    const time = from + share * (this.until - from);
    const point = this.#history.findLast((candidate) => candidate.at <= time) ?? this.#history[0];
    this.#cursor.hidden = false;
    this.#cursor.style.insetInlineStart = `${share * 100}%`;
    this.#reading.textContent = `${label(point.value)} ${this.#units} at ${clockTime(point.at)}`;
  }

  #rest() {
    this.#cursor.hidden = true;
    this.#reading.textContent = "";
  }
}
