// An entity's facts, by relation and direction. A heading has a gap where its rows go: "lives in …", "… lives in Oslo".
import { make, told } from "./elements.js";
import { evidenceList } from "./evidence.js";
import { named } from "./naming.js";
import { disclosure, inParts } from "./parts.js";
import { counted, figure } from "./wording.js";

const SHOWN_AT_ONCE = 12;

/** Groups of facts: what the entity does first, then what others do to it; large groups before small ones. */
export function groupsOf(facts) {
  const groups = new Map();
  for (const fact of facts) {
    const key = JSON.stringify([fact.direction, fact.relation]);
    if (!groups.has(key)) groups.set(key, { direction: fact.direction, relation: fact.relation, facts: [] });
    groups.get(key).facts.push(fact);
  }
  const rank = ({ direction }) => (direction === "out" ? 0 : 1);
  return [...groups.values()].sort((one, other) => rank(one) - rank(other) || other.facts.length - one.facts.length);
}

export function factGroups(entity) {
  return groupsOf(entity.facts).map((group) => {
    const rows = inParts(make("ul", { class: "rows" }), group.facts, row, SHOWN_AT_ONCE);
    return make("section", { class: `group ${group.direction}` }, heading(group, entity), make("div", {}, rows));
  });
}

function heading({ direction, relation, facts }, entity) {
  const [gap, name] = [make("span", { class: "gap" }, "…"), told(relation)];
  const sentence = direction === "out" ? [name, " ", gap] : [gap, " ", name, " ", told(entity.label, { class: "self" })];
  return make("h3", {}, sentence, facts.length > 1 && make("i", {}, figure(facts.length)));
}

function row(fact) {
  const { button, below } = disclosure(
    counted(fact.evidence.length, "source"),
    `for ${fact.relation}, ${fact.other.label}`,
    () => evidenceList(fact.evidence),
  );
  const what = make("span", { class: "what" }, named(fact.other));
  return make("li", { class: "fact" }, make("div", { class: "row" }, what, button), below);
}
