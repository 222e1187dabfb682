// One entity: its facts, the events it is in, and every place where a document names it.
import { entity as fetchEntity } from "./api.js";
import { make } from "./elements.js";
import { evidenceList } from "./evidence.js";
import { factGroups } from "./facts.js";
import { happenings } from "./happenings.js";
import { masthead } from "./masthead.js";
import { partly } from "./notices.js";
import { counted, figure } from "./wording.js";

export async function entity({ id }, signal) {
  const found = await fetchEntity(id, signal);
  const { facts, events, mentions } = found;
  const sections = [
    facts.length && section("Facts", facts, factGroups(found)),
    events.length && section("Events", events, happenings(events)),
    mentions.length && section("Mentions", mentions, evidenceList(mentions)),
  ];
  const cut = found.cut && partly("There is more about this entity than a page can hold: what is below is a part of it.");
  const head = masthead(found, "entity", tallies(found));
  return { title: found.label, element: make("article", { class: "entity-page" }, head, cut, sections.filter(Boolean)) };
}

function tallies({ facts, events, mentions, cut }) {
  const all = [...mentions, ...[...facts, ...events].flatMap(({ evidence }) => evidence)];
  const documents = new Set(all.map(({ document: from }) => `${from.tenant}\n${from.id}`));
  const counts = [[facts.length, "fact"], [events.length, "event"], [mentions.length, "mention"]].filter(([count]) => count);
  const said = counts.map(([count, noun]) => counted(count, noun)).join(" · ");
  return documents.size ? `${said} in ${cut ? "at least " : ""}${counted(documents.size, "document")}` : said;
}

function section(title, items, content) {
  return make("section", { class: title.toLowerCase() }, make("h2", {}, title, make("i", {}, figure(items.length))), content);
}
