// The head of an entity's pages: its names, its types, and the way between its facts and its graph.
import { entityAddress, graphAddress } from "./address.js";
import { make, told } from "./elements.js";
import { typeNames } from "./naming.js";

const SPELLINGS_SHOWN = 12;

/** `tallies` is a line of counts, or null; `view` is "entity" or "graph". */
export function masthead({ id, label, labels, types }, view, tallies) {
  return make(
    "header",
    { class: "masthead" },
    make("div", { class: "name" }, make("h1", { tabindex: "-1" }, told(label)), typeNames(types)),
    spellings(labels.filter((spelling) => spelling !== label)),
    make("div", { class: "under" }, ways(id, view), tallies && make("p", { class: "tallies" }, tallies)),
  );
}

function spellings(others) {
  if (!others.length) return null;
  const rest = others.length - SPELLINGS_SHOWN;
  const shown = others.slice(0, SPELLINGS_SHOWN).map((spelling) => make("li", {}, told(spelling)));
  return make(
    "div",
    { class: "spellings" },
    make("span", {}, "Also written"),
    make("ul", {}, shown, rest > 0 && make("li", { title: others.slice(SPELLINGS_SHOWN).join(" · ") }, `and ${rest} more`)),
  );
}

function ways(id, view) {
  const way = (name, words, href) => make("a", { href, "aria-current": view === name ? "page" : null }, words);
  return make(
    "nav",
    { class: "ways", "aria-label": "Views of this entity" },
    way("entity", "Facts and sentences", entityAddress(id)),
    way("graph", "Graph", graphAddress(id)),
  );
}
