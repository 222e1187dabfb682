// The knowledge base's page: reads the address, shows what it names, and keeps head and feed going.
import { read } from "./address.js";
import { countSoon, startCounts } from "./counts.js";
import { byId } from "./elements.js";
import { entity } from "./entity.js";
import { startFeed } from "./feed.js";
import { graph } from "./graph.js";
import { home } from "./home.js";
import { failed, missing } from "./notices.js";
import { startSearch } from "./search.js";

const VIEWS = { home, entity, graph, missing: async () => ({ title: "No such page", element: missing() }) };
const PATIENCE_MS = 200;
const TITLE = "Sluice: knowledge base";

const main = byId("main");
const progress = byId("progress");
const scrolled = new Map();
let visit = new AbortController();
let current = { gone() {} };
let shownHash = null;
let byLink = false;

/** What is there stays until the new is there; the line at the top moves only when that takes a while. */
async function show() {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  const hash = location.hash;
  const place = read(hash);
  const slow = setTimeout(() => { progress.hidden = false; }, PATIENCE_MS);
  main.setAttribute("aria-busy", "true");
  let view;
  try {
    view = await VIEWS[place.view](place, signal, go);
  } catch (error) {
    if (error.name === "AbortError") return clearTimeout(slow);
    view = { title: "Not shown", element: failed(error, show) };
  }
  clearTimeout(slow);
  if (!signal.aborted) put(view, hash);
}

function put(view, hash) {
  progress.hidden = true;
  current.gone?.();
  const top = topOf(view, hash);
  current = view;
  main.replaceChildren(view.element);
  main.removeAttribute("aria-busy");
  document.title = view.title ? `${view.title} · Sluice` : TITLE;
  // What fills by itself must not take the field from somebody who types.
  if (shownHash !== null && document.activeElement !== byId("find")) main.querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, top);
  [shownHash, byLink] = [hash, false];
  view.shown?.()?.catch((error) => main.replaceChildren(failed(error, show)));
}

/** Where the reader finds the new view: at its top, where it was left, or, from picture to picture, where they are. */
function topOf(view, hash) {
  if (!byLink) return scrolled.get(hash) ?? 0;
  return view.keepsPlace && current.keepsPlace ? scrollY : 0;
}

function go(hash) {
  byLink = true;
  if (location.hash === hash) show();
  else location.hash = hash;
}

history.scrollRestoration = "manual";
addEventListener("scroll", () => { if (location.hash === shownHash) scrolled.set(shownHash, scrollY); }, { passive: true });
addEventListener("click", (event) => { if (event.target.closest?.("a[href^='#/']")) byLink = true; }, { capture: true });
addEventListener("hashchange", show);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
startSearch(go);
startCounts();
startFeed(() => countSoon(() => { if (current.waits) show(); }));
show();
