// A passage with its values marked. Places are code points, JavaScript's strings are UTF-16, and readers see clusters:
// a letter with its accents, a family of emoji. A mark is never allowed to cut one of those in two.
import { make } from "./elements.js";

const clusters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The UTF-16 index of each code point of `text`, and of its end. */
export function codePoints(text) {
  const indexes = [0];
  for (const point of text) indexes.push(indexes.at(-1) + point.length);
  return indexes;
}

/** [start, end) in UTF-16, widened to whole clusters; null when nothing of it stands in the passage. */
export function place(passage, start, end) {
  const indexes = codePoints(passage.text);
  const within = (at) => indexes[Math.min(Math.max(at - passage.start, 0), indexes.length - 1)];
  const [from, to] = [within(start), within(end)];
  if (from >= to) return null;
  const pieces = clusters.segment(passage.text);
  const last = pieces.containing(to - 1);
  return { from: pieces.containing(from).index, to: last.index + last.segment.length };
}

/** `passage` as nodes. Each of `values` is `{start, end, status, letter, hue}` with places in the document. */
export function marked(passage, values) {
  const spans = values
    .map((value, number) => ({ value, number, ...place(passage, value.start, value.end) }))
    .filter((span) => span.from !== undefined)
    .sort((one, other) => other.to - other.from - (one.to - one.from));
  const cuts = [...new Set([0, passage.text.length, ...spans.flatMap(({ from, to }) => [from, to])])].sort((a, b) => a - b);
  return cuts.slice(1).map((end, index) => piece(passage.text, cuts[index], end, spans));
}

function piece(text, start, end, spans) {
  const cover = spans.filter(({ from, to }) => from <= start && end <= to);
  return cover.reduceRight((inside, span) => mark(inside, span, start === span.from, end === span.to), text.slice(start, end));
}

function mark(inside, { value, number }, begins, ends) {
  const classes = [value.hue, value.status, begins && "b", ends && "e"].filter(Boolean).join(" ");
  return make("mark", { class: classes, "data-m": number, "data-letter": ends ? value.letter : null }, inside);
}
