// What the objects of updates have in common and what not: Firmware Update (5) and Software Management (9), by their numbers.

const active = (values) => values.activation === true;

const RESULTS_5 = {
  0: ["", ""],
  1: ["good", "Updated successfully"],
  2: ["bad", "Not enough storage for the package"],
  3: ["bad", "Out of memory while downloading"],
  4: ["bad", "The connection was lost while downloading"],
  5: ["bad", "The package is damaged, or its signature is not trusted"],
  6: ["bad", "This type of package is not supported"],
  7: ["bad", "There is no package at that URI"],
  8: ["bad", "The update failed"],
  9: ["bad", "The gateway does not support that protocol"],
  10: ["", "Cancelled"],
  11: ["", "Deferred: the gateway updates later"],
};

const RESULTS_9 = {
  0: ["", ""],
  1: ["", "Downloading"],
  2: ["good", "Installed successfully"],
  3: ["good", "Downloaded and verified"],
  50: ["bad", "Not enough storage for the package"],
  51: ["bad", "Out of memory while downloading"],
  52: ["bad", "The connection was lost while downloading"],
  53: ["bad", "The package is damaged, or its signature is not trusted"],
  54: ["bad", "This type of package is not supported"],
  56: ["bad", "There is no package at that URI"],
  57: ["bad", "The update failed, for a reason of the gateway's own"],
  58: ["bad", "The installation failed"],
  59: ["bad", "The removal failed"],
};

/**
 * By object: resource ids of what matters, the names of the states in their order, those in which the gateway is at work, in which it
 * takes a package, the results that tell nothing yet, and what can be asked of it when.
 */
export const KINDS = {
  5: {
    title: "Firmware update",
    what: "firmware",
    resources: { package: 0, uri: 1, state: 3, result: 5, name: 6, version: 7 },
    states: ["Idle", "Downloading", "Downloaded", "Updating"],
    busy: [1, 3],
    takes: [0],
    undecided: [0],
    results: RESULTS_5,
    actions: [{ verb: "Update", resource: 2, primary: true, when: ({ state }) => state === 2, done: "The gateway was asked to update" }],
    /** Cancel, where the gateway has it (1.1), else the reset. */
    cancel: { resource: 10, when: ({ state }) => state === 1 || state === 2, reset: 1 },
  },
  9: {
    title: "Software",
    what: "software",
    resources: { package: 2, uri: 3, state: 7, result: 9, name: 0, version: 1, activation: 12 },
    states: ["Initial", "Downloading", "Downloaded", "Delivered", "Installed"],
    busy: [1],
    takes: [0, 3, 4],
    undecided: [0, 1],
    results: RESULTS_9,
    actions: [
      { verb: "Install", resource: 4, primary: true, when: ({ state }) => state === 3, done: "The gateway was asked to install" },
      { verb: "Activate", resource: 10, primary: true, when: (values) => values.state === 4 && !active(values), done: "The gateway was asked to activate" },
      { verb: "Deactivate", resource: 11, when: (values) => values.state === 4 && active(values), done: "The gateway was asked to deactivate" },
      { verb: "Uninstall", resource: 6, danger: true, when: ({ state }) => state >= 3, done: "The gateway was asked to uninstall" },
    ],
  },
};
