// Elements without a framework: a constructor, and the one live region that speaks for the page.

/** Makes an element. `on...` properties are listeners, `aria`/`data` nest, `null` and `false` are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "aria") for (const [key, state] of Object.entries(value)) setAria(element, key, state);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child);
  }
}

/** Sets or, with `null`, removes an ARIA attribute. */
export function setAria(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(`aria-${name}`);
  else element.setAttribute(`aria-${name}`, String(value));
}

/** Replaces what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Makes an SVG element. */
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

let identifiers = 0;
/** An id that nothing else on the page has, to tie labels to inputs. */
export const uniqueId = (stem) => `${stem}-${++identifiers}`;

/** Says a sentence to those who do not see the page change. */
export function announce(sentence) {
  const region = document.getElementById("announce");
  // The same sentence twice is a change only if the region was empty between.
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = sentence; });
}

/** A button. `quiet` has no border, `danger` warns, `primary` is the one to press. */
export function button(label, onclick, { kind = "", title = null, ...rest } = {}) {
  return h("button", { type: "button", class: `button ${kind}`.trim(), onclick, title, ...rest }, label);
}
