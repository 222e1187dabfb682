// Numbers and times as people write them.
import { make } from "./elements.js";

const LANGUAGE = "en";
const number = new Intl.NumberFormat(LANGUAGE);
const moment = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short", hour12: false });
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto", style: "narrow" });
const STEPS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];
const IRREGULAR = { entity: "entities" };

export const figure = (count) => number.format(count);

/** `noun` in the number that `count` asks for, without the number. */
export const plural = (count, noun) => (count === 1 ? noun : (IRREGULAR[noun] ?? `${noun}s`));

/** "1 fact", "2,345 facts". */
export const counted = (count, noun) => `${figure(count)} ${plural(count, noun)}`;

/** Time since `iso`, in words; a day and more is a date. */
export function ago(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds < 45) return "just now";
  if (seconds > 7 * 86_400) return moment.format(new Date(iso));
  const [unit, size] = STEPS.find(([, length]) => seconds >= length) ?? STEPS.at(-1);
  return relative.format(-Math.max(1, Math.floor(seconds / size)), unit);
}

/** A moment, as a date and a time of the reader's own zone; null when there is none. */
export function dated(iso) {
  const at = iso ? new Date(iso) : null;
  return at && !Number.isNaN(at.valueOf()) ? make("time", { datetime: iso, title: iso }, moment.format(at)) : null;
}

/** The last part of a path or a reference: what tells one model or adapter from its neighbours. */
export const shortName = (reference) => reference.split("/").filter(Boolean).at(-1) ?? reference;
