// What stands around an entity, as a picture, and as a table for whoever has no use for pictures.
import { graph as fetchGraph, entity as fetchEntity } from "./api.js";
import { DEEPEST, graphAddress } from "./address.js";
import { make, told } from "./elements.js";
import { masthead } from "./masthead.js";
import { named } from "./naming.js";
import { partly } from "./notices.js";
import { picture } from "./picture.js";
import { counted, figure } from "./wording.js";

/** `go` leads to an address. */
export async function graph({ id, depth }, signal, go) {
  const [found, around] = await Promise.all([fetchEntity(id, signal), fetchGraph(id, depth, signal)]);
  const canvas = make("div", { class: "canvas", role: "img", "aria-label": summary(found, around) });
  const tools = make("div", { class: "tools" });
  const element = make(
    "article",
    { class: "graph-page" },
    masthead(found, "graph", `${counted(around.nodes.length, "entity")}, ${counted(around.edges.length, "relation")}`),
    around.cut && partly("There is more around this entity than a picture can hold: only a part is drawn."),
    make("div", { class: "picture" }, make("div", { class: "bar" }, depths(id, depth), tools), canvas),
    table(around),
  );
  let drawn = null;
  return {
    title: `Around ${found.label}`,
    element,
    keepsPlace: true,
    async shown() {
      drawn = await picture(canvas, tools, around, (chosen) => go(graphAddress(chosen, depth)));
      if (!element.isConnected) drawn.gone();
    },
    gone: () => drawn?.gone(),
  };
}

function summary(found, { nodes, edges }) {
  const held = `${counted(nodes.length, "entity")} and ${counted(edges.length, "relation")}`;
  return `Graph around ${found.label}: ${held}, the same as in the table below.`;
}

function depths(id, depth) {
  const words = ["One step", "Two steps"];
  const links = Array.from({ length: DEEPEST }, (_, index) =>
    make("a", { href: graphAddress(id, index + 1), "aria-current": depth === index + 1 ? "true" : null }, words[index]),
  );
  return make("nav", { class: "depths", "aria-label": "How far the graph goes" }, links);
}

function table({ nodes, edges }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const head = ["From", "Relation", "To", "Sources"].map((words) => make("th", { scope: "col" }, words));
  const rows = edges
    .filter(({ source, target }) => byId.has(source) && byId.has(target))
    .map((edge) =>
      make(
        "tr",
        {},
        make("td", {}, named(byId.get(edge.source))),
        make("td", {}, told(edge.relation)),
        make("td", {}, named(byId.get(edge.target))),
        make("td", { class: "number" }, figure(edge.evidences)),
      ),
    );
  if (!rows.length) return make("p", { class: "quiet" }, "No document relates this entity to another yet.");
  const whole = make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Relations as a table" }, whole);
  return make("details", { class: "as-table" }, make("summary", {}, "The same as a table"), scroll);
}
