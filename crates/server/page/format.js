// Values of LwM2M for people: shown, and typed in.

const NUMERIC = new Set(["INTEGER", "UNSIGNED_INTEGER", "FLOAT"]);

/** Whether a graph of such values makes sense. Types come in capitals from values, in small letters from definitions. */
export const isNumeric = (type) => NUMERIC.has(type?.toUpperCase());

const moment = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export const clockTime = (milliseconds) => clock.format(milliseconds);
export const clockTimeExact = (milliseconds) => `${clock.format(milliseconds)}.${String(milliseconds % 1000).padStart(3, "0")}`;
export const fullTime = (milliseconds) => moment.format(milliseconds);

/** "just now", "12 s ago", "3 min ago", "2 h ago", "5 d ago". */
export function ago(milliseconds, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - milliseconds) / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

/** A span of seconds: "300 s", "5 h", "1 d". */
export function span(seconds) {
  if (seconds === 0) return "unlimited";
  if (seconds < 600) return `${seconds} s`;
  if (seconds < 7200) return `${trim(seconds / 60)} min`;
  if (seconds < 172800) return `${trim(seconds / 3600)} h`;
  return `${trim(seconds / 86400)} d`;
}

const trim = (number) => String(Math.round(number * 10) / 10);

/** The digits of a long whole number in groups of three; a short one, such as a year or a port, is one group. */
export function groups(digits) {
  return /^-?\d{6,}$/.test(digits) ? digits.split(/\B(?=(?:\d{3})+$)/) : [digits];
}

/** A number as a graph labels it. */
export const label = (number) => groups(String(Number(number.toPrecision(6)))).join("\u202f");

/** The text of one value, and where it is shortened or a translation, the exact one. */
export function show(type, value) {
  switch (type) {
    case "STRING": return { text: value, empty: value === "" };
    case "INTEGER":
    case "UNSIGNED_INTEGER": return { text: value, groups: groups(value) };
    case "FLOAT": return { text: String(Number(Number(value).toPrecision(7))), exact: value };
    case "BOOLEAN": return { text: String(value) };
    case "TIME": return { text: fullTime(value), exact: new Date(value).toISOString() };
    case "OPAQUE": return { text: hex(value), exact: value, empty: value === "", code: true };
    case "OBJLNK": return { text: value.objectId === 65535 ? "none" : `/${value.objectId}/${value.objectInstanceId}`, code: true };
    default: return { text: String(value), code: true };
  }
}

function hex(digits) {
  const bytes = digits.match(/../g) ?? [];
  const shown = bytes.slice(0, 16).join(" ");
  return bytes.length > 16 ? `${shown} … (${bytes.length} bytes)` : shown;
}

/** OMA's registry writes "/100" for percent; everything else is shown as it stands. */
export const unitName = (units) => (units === "/100" ? "%" : units ?? "");

/** Splits what is typed for `type` into the JSON of the API; throws an Error whose message says what is expected. */
export function parse(type, text) {
  switch (type.toUpperCase()) {
    case "INTEGER": return digits(text, /^[+-]?\d+$/, "a whole number");
    case "UNSIGNED_INTEGER": return digits(text, /^\d+$/, "a whole number from 0");
    case "FLOAT":
      if (text.trim() === "" || !Number.isFinite(Number(text))) throw new Error("A number is expected, such as 21.5");
      return text.trim();
    case "BOOLEAN": return text === "true";
    case "TIME": {
      const time = new Date(text).getTime();
      if (Number.isNaN(time)) throw new Error("A date and a time are expected");
      return Math.trunc(time / 1000) * 1000;
    }
    case "OPAQUE": {
      const packed = text.replace(/\s+/g, "");
      if (!/^([0-9a-fA-F]{2})*$/.test(packed)) throw new Error("Hexadecimal digits are expected, two a byte");
      return packed.toLowerCase();
    }
    case "OBJLNK": {
      const ids = /^\s*\/?(\d+)[/:](\d+)\s*$/.exec(text);
      if (!ids || Number(ids[1]) > 65535 || Number(ids[2]) > 65535) throw new Error("An object and an instance are expected, such as /3/0");
      return { objectId: Number(ids[1]), objectInstanceId: Number(ids[2]) };
    }
    default: return text;
  }
}

function digits(text, pattern, expected) {
  const trimmed = text.trim().replace(/\u202f/g, "");
  if (!pattern.test(trimmed)) throw new Error(`Expected is ${expected}`);
  return trimmed.replace(/^\+/, "");
}

/** What stands in the input when a value is about to be changed: the inverse of `parse`. */
export function editable(type, value) {
  if (value === undefined || value === null) return type.toUpperCase() === "BOOLEAN" ? "false" : "";
  switch (type.toUpperCase()) {
    case "TIME": {
      const local = new Date(value - new Date(value).getTimezoneOffset() * 60000);
      return local.toISOString().slice(0, 19);
    }
    case "OBJLNK": return `/${value.objectId}/${value.objectInstanceId}`;
    default: return String(value);
  }
}

/** A number of bytes: "512 B", "40.0 kB", "12.3 MB", "1.2 GB". */
export function size(bytes) {
  const steps = ["B", "kB", "MB", "GB"];
  let [number, step] = [bytes, 0];
  while (number >= 1000 && step < steps.length - 1) [number, step] = [number / 1000, step + 1];
  return `${step === 0 ? number : number.toFixed(number < 100 ? 1 : 0)} ${steps[step]}`;
}

/** Bytes in a second. */
export const rate = (bytes) => `${size(Math.round(bytes))}/s`;
