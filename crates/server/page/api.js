// The HTTP API of docs/api/http.md, as promises. Every failure is a `Problem` that says what happened in words.

import { explain } from "./codes.js";

/** How long the page lets a gateway think, in seconds: a slow object may take many. */
const PATIENCE = 30;

/** Why something did not work: `code` (such as "4.04", or "") , `title` and `detail`, in words for people. */
export class Problem extends Error {
  constructor({ code = "", title, detail = "" }) {
    super(title);
    Object.assign(this, { code, title, detail });
  }
}

async function call(method, path, { query = {}, body, type } = {}) {
  const search = new URLSearchParams(query).toString();
  let answer;
  try {
    answer = await fetch(`/api${path}${search ? `?${search}` : ""}`, {
      method, body, headers: type ? { "Content-Type": type } : {},
    });
  } catch {
    throw new Problem({ title: "The server did not answer", detail: "Is it still running? Nothing was sent to the gateway." });
  }
  if (answer.ok) {
    const text = await answer.text();
    return text ? JSON.parse(text) : null;
  }
  const sentence = (await answer.text()).trim();
  if (answer.status === 504) {
    throw new Problem({
      title: `No answer within ${query.timeout ?? 5} s`,
      detail: "The gateway may be offline or asleep. It may still have acted: an answer can be lost too.",
    });
  }
  throw new Problem({ title: sentence || `HTTP status ${answer.status}`, detail: hint(answer.status) });
}

function hint(status) {
  switch (status) {
    case 400: return "The server refused this before it reached the gateway.";
    case 403: return "The server refuses calls that come from another page.";
    case 501: return "This server cannot do that yet.";
    default: return "";
  }
}

/** An operation on a gateway: an answer that is an error of the gateway becomes a `Problem` too. */
async function operate(method, endpoint, path, options = {}) {
  const query = { ...options.query, timeout: PATIENCE };
  const answer = await call(method, `/clients/${encodeURIComponent(endpoint)}${path}`, { ...options, query });
  if (answer?.failure) throw new Problem(explain(answer.status, answer.errormessage));
  return answer;
}

const json = (node) => ({ body: JSON.stringify(node), type: "application/json" });

export const clients = () => call("GET", "/clients");
export const specs = (endpoint) => call("GET", `/objectspecs/${encodeURIComponent(endpoint)}`);
export const serverEndpoints = () => call("GET", "/server/endpoint");

const named = (path, endpoint) => `${path}/${encodeURIComponent(endpoint)}`;
const KEYS = { query: { keys: "" } };

/** What endpoints have to show before they may register, without pre-shared keys, and with them. */
export const securities = () => call("GET", "/security/clients");
export const securitiesWithKeys = () => call("GET", "/security/clients", KEYS);
export const saveSecurity = (credentials) => call("PUT", "/security/clients", json(credentials));
export const removeSecurity = (endpoint) => call("DELETE", named("/security/clients", endpoint));
export const serverSecurity = () => call("GET", "/security/server");

export const read = (endpoint, path) => operate("GET", endpoint, path);
export const discover = (endpoint, path) => operate("GET", endpoint, `${path}/discover`);
export const write = (endpoint, path, node, replace = true) =>
  operate("PUT", endpoint, path, { ...json(node), query: { replace } });
export const execute = (endpoint, path, parameters) =>
  operate("POST", endpoint, path, parameters ? { body: parameters, type: "text/plain" } : {});
export const create = (endpoint, object, instance) => operate("POST", endpoint, `/${object}`, json(instance));
export const remove = (endpoint, path) => operate("DELETE", endpoint, path);
export const observe = (endpoint, path) => operate("POST", endpoint, `${path}/observe`);
export const cancel = (endpoint, path) => operate("DELETE", endpoint, `${path}/observe`, { query: { active: "" } });

export const bootstrapEndpoints = () => call("GET", "/server/bootstrap");
export const bootstrapSessions = () => call("GET", "/event/bootstrap");
/** Configurations by endpoint, keys included. */
export const bootstraps = () => call("GET", "/bootstrap", KEYS);
export const saveBootstrap = (endpoint, configuration) => call("POST", named("/bootstrap", endpoint), json(configuration));
export const removeBootstrap = (endpoint) => call("DELETE", named("/bootstrap", endpoint));
/** What endpoints have to show before they are bootstrapped, keys included. */
export const bootstrapKeys = () => call("GET", "/bootstrap/security/clients", KEYS);
export const saveBootstrapKey = (credentials) => call("PUT", "/bootstrap/security/clients", json(credentials));
export const removeBootstrapKey = (endpoint) => call("DELETE", named("/bootstrap/security/clients", endpoint));

/** Write-Attributes. The query carries the attributes and nothing else, so it has no time-out of its own. */
export async function writeAttributes(endpoint, path, attributes) {
  const query = Object.entries(attributes).map(([name, value]) => (value === "" ? name : `${name}=${value}`)).join("&");
  const answer = await call("PUT", `/clients/${encodeURIComponent(endpoint)}${path}/attributes?${query}`);
  if (answer?.failure) throw new Problem(explain(answer.status, answer.errormessage));
  return answer;
}
