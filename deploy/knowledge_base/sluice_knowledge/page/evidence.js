// The sentences that a fact, an event or a mention came from, and who read them.
import { make, told } from "./elements.js";
import { keysOf } from "./hues.js";
import { inParts } from "./parts.js";
import { marked } from "./passage.js";
import { dated, shortName } from "./wording.js";

const NOTES = {
  absent: "not found in the text",
  fuzzy: "nearly as in the text",
  normalised: "after evening out width, case and spaces",
};
const SHOWN_AT_ONCE = 10;

/** A list of all of `evidence`, a part at a time. */
export function evidenceList(evidence) {
  const keys = keysOf(evidence);
  return inParts(make("ol", { class: "evidence" }), evidence, (each) => item(each, keys), SHOWN_AT_ONCE);
}

function item(evidence, keys) {
  return make("li", {}, passages(evidence, keys), values(evidence, keys), source(evidence));
}

/** Whether the passage that a value stands in was kept. */
const stands = ({ passage, start }) => typeof passage?.text === "string" && start !== null;

/** Each passage once, in the order of the text, with all the values that stand in it. */
function passages({ mentions }, keys) {
  const standing = new Map();
  for (const mention of mentions) {
    if (!stands(mention)) continue;
    const at = `${mention.passage.start}-${mention.passage.end}`;
    if (!standing.has(at)) standing.set(at, { passage: mention.passage, values: [] });
    standing.get(at).values.push({ ...mention, ...keys.get(mention.role) });
  }
  return [...standing.values()]
    .sort((one, other) => one.passage.start - other.passage.start)
    .map(({ passage, values }) => make("blockquote", { dir: "auto" }, marked(passage, values)));
}

/** The values by role. One that stands in its sentence word for word says all it has to say there. */
function values({ mentions }, keys) {
  const [first] = mentions;
  if (!first) return null;
  if (mentions.length === 1 && first.status === "exact" && stands(first)) return null;
  return make("ul", { class: "values" }, mentions.map((mention) => value(mention, keys.get(mention.role))));
}

function value(mention, { letter, hue }) {
  const note = NOTES[mention.status];
  return make(
    "li",
    {},
    letter && make("span", { class: `letter ${hue}` }, letter),
    told(mention.role, { class: "role" }),
    " ",
    told(mention.text, { class: `value ${mention.status}` }),
    note && make("span", { class: `note ${mention.status}` }, note),
    !stands(mention) && mention.start !== null && make("span", { class: "note" }, `at [${mention.start}, ${mention.end})`),
  );
}

function source({ document: from, job, schema, model, adapter, ended_at: endedAt, confidence }) {
  const tenant = from.tenant && from.tenant !== "default" ? part("Tenant", from.tenant) : null;
  const sure = typeof confidence === "number" && `confidence ${confidence.toFixed(2)}`;
  return make(
    "p",
    { class: "source" },
    told(from.id, { class: "document", title: `Document ${from.id}, job ${job}` }),
    make("span", {}, `version ${from.version}`),
    tenant,
    part("Schema", schema),
    part("Model", model, shortName(model)),
    adapter && part("Adapter", adapter, `adapter ${shortName(adapter)}`),
    dated(endedAt),
    sure && make("span", { title: "The engine's confidence, 0 to 1" }, sure),
  );
}

const part = (name, whole, short = whole) => told(short, { title: `${name} ${whole}` });
