// The page's colours for a canvas: the library reads no oklch() and no custom properties, so one pixel answers.

const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function rgb(colour) {
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgb(${red}, ${green}, ${blue})`;
}

/** The custom property `name`, as rgb(). */
export const paint = (name) => rgb(getComputedStyle(document.documentElement).getPropertyValue(name).trim());

/** Fill and edge of the colour class `hue`, like a mark in the text has them. */
export function paintsOf(hue) {
  const probe = document.createElement("i");
  probe.className = hue;
  document.body.append(probe);
  const look = getComputedStyle(probe);
  const held = (name) => look.getPropertyValue(name);
  const of = (part) => rgb(`oklch(${held(`--${part}-l`)} ${held(`--${part}-c`)} ${held("--h")})`);
  const paints = { fill: of("mark"), edge: of("edge") };
  probe.remove();
  return paints;
}
