// Observing, the same at every level.

import * as api from "./api.js";

/** Starts or ends the observation of `path`. */
export async function toggleObserve(model, endpoint, path) {
  if (model.isObserved(endpoint, path)) {
    try {
      await api.cancel(endpoint, path);
    } catch (error) {
      // The server knows of no such observation: it is over already.
      if (!/no observation/.test(error.title)) throw error;
    }
    model.setObserved(endpoint, path, false);
    return `No longer observing ${path}`;
  }
  await observe(model, endpoint, path);
  return undefined;
}

/** Starts the observation of `path`. Its first notification may come before the answer. */
export async function observe(model, endpoint, path) {
  const asked = performance.now();
  const answer = await api.observe(endpoint, path);
  model.setObserved(endpoint, path, true);
  model.absorb(endpoint, path, answer.content, asked);
}
