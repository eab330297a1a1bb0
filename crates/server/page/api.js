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
    case 409: return "Cancel what goes on, or wait for its end.";
    case 507: return "Hosted files take the room; delete one by the API, or let the server have more.";
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

// Files

/** The hosted files. */
export const files = () => call("GET", "/files");
/** What was last on its way to each instance of the gateways' objects. */
export const transfers = () => call("GET", "/transfers");
export const endTransfer = (id) => call("DELETE", `/transfers/${id}`);
export const pushHosted = (endpoint, path, file) => call("POST", `${named("/clients", endpoint)}${path}/push`, { query: { file } });
/** Lets a gateway fetch a hosted file: its URI is written to `path`. */
export const pull = (endpoint, path, file, scheme) => operate("POST", endpoint, `${path}/pull`, { query: { file, scheme } });
/** Pushes a file of this computer; `progress` hears how much of it has reached the server. */
export const pushFile = (endpoint, path, file, progress) =>
  upload("POST", `${named("/clients", endpoint)}${path}/push?${new URLSearchParams({ name: file.name })}`, file, progress);
export const hostFile = (name, file, progress) => upload("PUT", named("/files", name), file, progress);

/** A call whose body may take its time; `fetch` does not tell how much of it has been sent. */
function upload(method, path, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, `/api${path}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", ({ loaded }) => progress(Math.min(loaded, body.size)));
    request.addEventListener("error", () => reject(new Problem({ title: "The server did not take the file", detail: "Is it still running?" })));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(new Problem({ title: request.responseText.trim() || `HTTP status ${request.status}`, detail: hint(request.status) }));
    });
    request.send(body);
  });
}
