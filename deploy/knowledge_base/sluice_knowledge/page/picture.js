// Draws a graph with Cytoscape, which is fetched only when somebody asks for a graph.
import { make } from "./elements.js";
import { hueOf } from "./hues.js";
import { looks } from "./looks.js";

const LABEL_SHOWN = 26;
const LARGEST_FIT = 1.35;
const NEAREST = 85;
const clusters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

let library = null;
const cytoscape = async () => {
  library ??= import("./vendor/cytoscape.esm.min.mjs");
  return (await library).default;
};

/** Draws `around` into `container` and its buttons into `tools`; `choose` gets the id of a node that is clicked. */
export async function picture(container, tools, around, choose) {
  const draw = await cytoscape();
  const view = draw({
    container,
    elements: elementsOf(around),
    style: looks(around),
    layout: { name: "preset", fit: false },
    minZoom: 0.15,
    maxZoom: 3,
    boxSelectionEnabled: false,
    autounselectify: true,
  });
  view.layout(arrangement(around)).run();
  lay(view, container);
  view.on("tap", "node", (event) => choose(event.target.id()));
  pointing(view, container);
  tools.replaceChildren(...buttons(view));
  const ends = new AbortController();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.style(looks(around)), { signal: ends.signal });
  wheel(view, container);
  return {
    gone() {
      ends.abort();
      view.destroy();
    },
  };
}

/** Words for a canvas: one line, no longer than shows, and no direction that leaks out of it. */
function line(text) {
  const pieces = [...clusters.segment(text.replace(/[\p{Cc}\s]+/gu, " "))].map(({ segment }) => segment);
  return `\u2068${pieces.length > LABEL_SHOWN ? `${pieces.slice(0, LABEL_SHOWN - 1).join("")}…` : pieces.join("")}\u2069`;
}

function elementsOf({ nodes, edges }) {
  const known = new Set(nodes.map(({ id }) => id));
  const drawn = edges.filter(({ source, target }) => known.has(source) && known.has(target));
  const places = rings(nodes, drawn);
  const degree = (id) => drawn.filter(({ source, target }) => source === id || target === id).length;
  return [
    ...nodes.map(({ id, label, types, center }) => ({
      group: "nodes",
      data: { id, label: line(label), hue: hueOf(types[0]), size: center ? 34 : Math.min(13 + 3 * degree(id), 28) },
      classes: center ? "center" : "",
      position: places.get(id),
    })),
    ...drawn.map(({ id, source, target, relation, evidences }) => ({
      group: "edges",
      data: { id: `edge ${id}`, source, target, label: line(relation), width: Math.min(1 + Math.log2(evidences || 1) / 2, 4) },
    })),
  ];
}

/** Where the layout begins: rings by distance from the centre. No chance is in it, so the same graph looks the same. */
function rings(nodes, edges) {
  const distance = new Map(nodes.filter(({ center }) => center).map(({ id }) => [id, 0]));
  for (let round = 1; round <= 3; round += 1) {
    const reached = [...distance.keys()];
    for (const { source, target } of edges) {
      if (reached.includes(source) && !distance.has(target)) distance.set(target, round);
      if (reached.includes(target) && !distance.has(source)) distance.set(source, round);
    }
  }
  const places = new Map();
  for (let ring = 0; ring <= 4; ring += 1) {
    const members = nodes.filter(({ id }) => (distance.get(id) ?? 4) === ring);
    members.forEach(({ id }, index) => {
      const [angle, radius] = [(2 * Math.PI * index) / members.length + ring / 2, 150 * ring];
      places.set(id, { x: radius * Math.cos(angle) * 1.4, y: radius * Math.sin(angle) });
    });
  }
  return places;
}

const arrangement = ({ nodes }) => ({
  name: "cose",
  animate: false,
  randomize: false,
  fit: false,
  nodeDimensionsIncludeLabels: true,
  idealEdgeLength: () => 90,
  nodeRepulsion: () => 30_000,
  nodeOverlap: 24,
  gravity: 0.5,
  numIter: nodes.length > 80 ? 500 : 1_000,
});

/** Turns the picture so that its long side lies along the container's, and fits it in. */
function lay(view, container) {
  part(view);
  const box = view.elements().boundingBox({ includeLabels: false });
  if (box.h > box.w !== container.clientHeight > container.clientWidth) {
    view.nodes().positions((node) => ({ x: node.position("y"), y: -node.position("x") }));
  }
  fit(view);
}

/** Moves what lies on the centre beside it: a second hub ends there, amid what the two share. */
function part(view) {
  const center = view.nodes(".center").position();
  if (!center) return;
  view.nodes().not(".center").positions((node) => {
    const [x, y] = [node.position("x") - center.x, node.position("y") - center.y];
    const distance = Math.hypot(x, y) || 1;
    const apart = Math.max(distance, NEAREST) / distance;
    return { x: center.x + (x || 1) * apart, y: center.y + y * apart };
  });
}

function fit(view) {
  view.fit(undefined, 32);
  if (view.zoom() > LARGEST_FIT) {
    view.zoom(LARGEST_FIT);
    view.center();
  }
}

/** Pointing at a node lights what it is related to. */
function pointing(view, container) {
  view.on("mouseover", "node", ({ target }) => {
    view.elements().not(target.closedNeighborhood()).addClass("far");
    target.addClass("pointed").connectedEdges().addClass("near");
    container.classList.add("pointing");
  });
  view.on("mouseout", "node", () => {
    view.elements().removeClass("far near pointed");
    container.classList.remove("pointing");
  });
}

/** The wheel scrolls the page; with Ctrl or Command it zooms, as it does elsewhere. */
function wheel(view, container) {
  const allow = (event) => view.userZoomingEnabled(event.ctrlKey || event.metaKey);
  container.addEventListener("wheel", allow, { capture: true, passive: true });
  container.addEventListener("touchstart", () => view.userZoomingEnabled(true), { capture: true, passive: true });
}

function buttons(view) {
  const middle = () => ({ x: view.width() / 2, y: view.height() / 2 });
  const zoom = (factor) => () => view.zoom({ level: view.zoom() * factor, renderedPosition: middle() });
  const button = (words, name, act) => {
    const made = make("button", { type: "button", "aria-label": name, title: name }, words);
    made.addEventListener("click", act);
    return made;
  };
  return [
    button("−", "Smaller", zoom(1 / 1.3)),
    button("+", "Larger", zoom(1.3)),
    button("Fit", "Fit all into view", () => fit(view)),
  ];
}
