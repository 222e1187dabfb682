// The events that an entity takes part in: what happened, by which word, and who played which role.
import { make, told } from "./elements.js";
import { evidenceList } from "./evidence.js";
import { hueOf } from "./hues.js";
import { named } from "./naming.js";
import { disclosure, inParts } from "./parts.js";
import { counted } from "./wording.js";

const SHOWN_AT_ONCE = 12;

export const happenings = (events) => inParts(make("ul", { class: "happenings" }), events, card, SHOWN_AT_ONCE);

function card(event) {
  const { button, below } = disclosure(
    counted(event.evidence.length, "source"),
    `for ${event.type}`,
    () => evidenceList(event.evidence),
  );
  const trigger = event.trigger && make("span", { class: "trigger" }, "by the word ", told(event.trigger));
  const kind = make("p", { class: "what" }, told(event.type || "event", { class: `kind ${hueOf(event.type)}` }), " ", trigger);
  return make("li", { class: "happening" }, make("div", { class: "row" }, kind, button), roles(event.arguments), below);
}

function roles(played) {
  if (!played.length) return null;
  const pairs = played.map(({ role, entity }) => make("div", {}, make("dt", {}, told(role)), make("dd", {}, named(entity))));
  return make("dl", { class: "roles" }, pairs);
}
