// What the address bar holds: `#/` the start, `#/entity/ID` an entity, `#/entity/ID/graph/DEPTH` what stands around it.

export const HOME = "#/";
export const DEEPEST = 2;

export const entityAddress = (id) => `#/entity/${encodeURIComponent(id)}`;
export const graphAddress = (id, depth = 1) => `${entityAddress(id)}/graph/${depth}`;

/** `{view, id, depth}`; the view is "missing" for an address that names nothing. */
export function read(hash) {
  const parts = hash.replace(/^#?\/?/, "").split("/");
  if (parts.length === 1 && parts[0] === "") return { view: "home" };
  const [kind, id, view, depth, ...rest] = parts;
  const depths = depth === undefined ? 1 : Number(depth);
  if (kind !== "entity" || !id || rest.length || ![undefined, "graph"].includes(view)) return { view: "missing" };
  if (!Number.isInteger(depths) || depths < 1 || depths > DEEPEST) return { view: "missing" };
  try {
    return { view: view ?? "entity", id: decodeURIComponent(id), depth: depths };
  } catch {
    return { view: "missing" };  // a % that begins no character
  }
}
