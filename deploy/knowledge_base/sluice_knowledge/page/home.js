// The start: the entities that the documents speak of most.
import { search } from "./api.js";
import { entityAddress } from "./address.js";
import { make, told } from "./elements.js";
import { typeNames } from "./naming.js";
import { nothingYet } from "./notices.js";
import { counted, figure } from "./wording.js";

const SHOWN = 40;

export async function home(_place, signal) {
  const { results } = await search("", SHOWN, signal);
  return { title: null, element: results.length ? ranking(results) : nothingYet(), waits: !results.length };
}

function ranking(results) {
  const most = Math.max(...results.map(({ evidences }) => evidences));
  return make(
    "section",
    { class: "home" },
    make("h1", { tabindex: "-1" }, "What the documents speak of"),
    make("p", { class: "lede" }, "Every entity leads to its facts, and every fact opens to the sentences it came from."),
    make("ol", { class: "ranking" }, results.map((result) => row(result, most))),
  );
}

function row({ id, label, types, evidences }, most) {
  const bar = make("span", { class: "share", "aria-hidden": "true" });
  bar.style.setProperty("--share", evidences / most);
  return make(
    "li",
    {},
    make("a", { href: entityAddress(id) }, told(label)),
    typeNames(types),
    make("span", { class: "number", title: counted(evidences, "source") }, bar, figure(evidences)),
  );
}
