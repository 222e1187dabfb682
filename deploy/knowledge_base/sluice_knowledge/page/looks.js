// How the graph looks: the page's type and colours, in the words of Cytoscape.
import { hueOf } from "./hues.js";
import { paint, paintsOf } from "./paint.js";

const RELATIONS_NAMED = 45;

/** The style sheet of a graph; to be made anew when the colour scheme changes. */
export function looks({ nodes, edges }) {
  const [ink, soft, edge, card, gold] = ["--ink", "--soft", "--edge", "--card", "--gold-fill"].map(paint);
  const words = {
    "font-family": getComputedStyle(document.body).fontFamily,
    "text-wrap": "ellipsis",
    "text-max-width": "180px",
    "text-outline-color": card,
    "text-outline-width": 2.5,
    "min-zoomed-font-size": 6,
  };
  const arrows = { "target-arrow-color": edge, "target-arrow-shape": "triangle", "arrow-scale": 0.9 };
  const lines = { ...arrows, width: "data(width)", "line-color": edge, "curve-style": "bezier" };
  const named = { label: edges.length <= RELATIONS_NAMED ? "data(label)" : "", "text-rotation": "autorotate" };
  const size = { width: "data(size)", height: "data(size)", "border-width": 2 };
  const below = { label: "data(label)", "text-valign": "bottom", "text-margin-y": 4 };
  return [
    { selector: "node", style: { ...words, ...size, ...below, "font-size": 13, color: ink } },
    ...coloured(nodes),
    { selector: "node.center", style: { "border-width": 4, "border-color": gold, "font-size": 16, "font-weight": 700 } },
    { selector: "edge", style: { ...words, ...lines, ...named, "font-size": 11, color: soft } },
    { selector: ".far", style: { opacity: 0.18 } },
    { selector: "node.pointed", style: { "font-size": (node) => Math.max(14, 14 / node.cy().zoom()), "z-index": 9 } },
    { selector: "edge.near", style: { label: "data(label)", color: ink, "line-color": gold, "target-arrow-color": gold } },
    { selector: "core", style: { "active-bg-opacity": 0 } },
  ];
}

function coloured(nodes) {
  return [...new Set(nodes.map(({ types }) => hueOf(types[0])))].map((hue) => {
    const { fill, edge } = paintsOf(hue);
    return { selector: `node[hue = "${hue}"]`, style: { "background-color": fill, "border-color": edge } };
  });
}
