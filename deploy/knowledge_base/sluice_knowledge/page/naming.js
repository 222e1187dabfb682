// How an entity is named: its label, which leads to it, and its types.
import { entityAddress } from "./address.js";
import { make, told } from "./elements.js";
import { hueOf } from "./hues.js";

export const typeNames = (types) =>
  make("span", { class: "types" }, types.map((type) => make("span", { class: `type ${hueOf(type)}` }, told(type))));

export const entityLink = ({ id, label }) => make("a", { class: "entity", href: entityAddress(id) }, told(label || "(no name)"));

export const named = (entity) => [entityLink(entity), " ", typeNames(entity.types)];
