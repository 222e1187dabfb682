// The counts in the head of the page.
import { health } from "./api.js";
import { byId, make } from "./elements.js";
import { figure, plural } from "./wording.js";

const PAUSE_MS = 1_500;
const COUNTED = [["documents", "document"], ["entities", "entity"], ["facts", "fact"], ["events", "event"]];

let waiting = null;

async function refresh() {
  waiting = null;
  const counts = await health().catch(() => null);  // the rest of the page says when nothing answers
  if (!counts) return;
  const pairs = COUNTED.map(([key, noun]) => [make("dt", {}, plural(counts[key], noun)), make("dd", {}, figure(counts[key]))]);
  byId("counts").replaceChildren(...pairs.map((pair) => make("div", {}, pair)));
}

export const startCounts = refresh;

/** Something came in: counts again, then calls `counted`; not once for each document of many. */
export function countSoon(counted) {
  waiting ??= setTimeout(() => refresh().then(counted), PAUSE_MS);
}
