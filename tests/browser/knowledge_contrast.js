// The contrast of every visible text with what lies behind it, by WCAG's formula: [[ratio, which text], ...].
() => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      pixel.fillStyle = colour;
      pixel.fillRect(0, 0, 1, 1);
    }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) => 0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const grounds = (element) => (element ? [...grounds(element.parentElement), getComputedStyle(element).backgroundColor] : []);
  const hasWords = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const inks = (element) => [getComputedStyle(element), getComputedStyle(element, "::after")];
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  return [...document.body.querySelectorAll("*")]
    .filter((element) => hasWords(element) && element.checkVisibility())
    .flatMap((element) => {
      const ground = grounds(element);
      const name = `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`;
      return inks(element).map(({ color }) => [ratio(light(over([...ground, color])), light(over(ground))), name]);
    });
}
