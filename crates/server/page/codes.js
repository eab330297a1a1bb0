// What the answer codes of CoAP mean when a gateway gives them (RFC 7252 section 12.1.2, LwM2M 1.1 core section 6.3).

const CODES = {
  "2.01": ["Created", ""],
  "2.02": ["Deleted", ""],
  "2.03": ["Valid", ""],
  "2.04": ["Changed", ""],
  "2.05": ["Content", ""],
  "2.31": ["Continue", ""],
  "4.00": ["Bad Request", "The gateway does not accept this value or these arguments."],
  "4.01": ["Unauthorized", "This server is not allowed to do that. Objects with keys can never be read."],
  "4.02": ["Bad Option", "The gateway does not know an option that the request needs."],
  "4.03": ["Forbidden", "The gateway refuses this server."],
  "4.04": ["Not Found", "The gateway has nothing at this path. It may have been deleted since."],
  "4.05": ["Method Not Allowed", "This cannot be done here: the resource may be read-only, write-only, or not to be executed."],
  "4.06": ["Not Acceptable", "The gateway cannot give the value in the format that was asked for."],
  "4.08": ["Request Entity Incomplete", "A part of the message was lost on the way. Try again."],
  "4.12": ["Precondition Failed", "The gateway's version does not go with this server's."],
  "4.13": ["Request Entity Too Large", "The value is longer than the gateway takes."],
  "4.15": ["Unsupported Content-Format", "The gateway does not read the format that the value was sent in."],
  "5.00": ["Internal Server Error", "The gateway tried and failed. Its own log may say why."],
  "5.01": ["Not Implemented", "The gateway does not have this operation."],
  "5.03": ["Service Unavailable", "The gateway is busy. Try again in a while."],
  "5.04": ["Gateway Timeout", "Something behind the gateway did not answer in time."],
};

/** The name of a code: "4.04" is "Not Found". */
export const codeName = (code) => CODES[code]?.[0] ?? "";

/** Turns "NOT_FOUND(404)" and the gateway's own words, if any, into what a `Problem` says. */
export function explain(status, words) {
  const digits = /\((\d)(\d\d)\)/.exec(status);
  const code = digits ? `${digits[1]}.${digits[2]}` : "";
  const [name, meaning] = CODES[code] ?? [status, ""];
  return { code, title: name, detail: words ? `${meaning} It says: ${words}`.trim() : meaning };
}
