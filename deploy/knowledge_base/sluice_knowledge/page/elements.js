// Builds elements. What documents say enters as text nodes only, so nothing of it can become markup.

/** An element with `attributes` (null and false are left out) and `children`: elements, strings, or lists of them. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Words from a document: their direction is their own, and ends with them. */
export const told = (text, attributes = {}) => make("bdi", { dir: "auto", ...attributes }, text);

export const byId = (id) => document.getElementById(id);

/** An SVG arrow head that CSS turns; decoration only. */
export function chevron() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "chevron");
  path.setAttribute("d", "M2 3.5 5 6.5 8 3.5");
  svg.append(path);
  return svg;
}
