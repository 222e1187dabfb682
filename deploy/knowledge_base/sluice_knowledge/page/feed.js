// What comes in, as it comes: the last deliveries, then those of the stream; after a gap the last ones again.
import { recent, STREAM } from "./api.js";
import { byId, make, told } from "./elements.js";
import { ago, counted } from "./wording.js";

const KEPT = 50;
const FLUSH_MS = 250;
const AGES_MS = 20_000;
const LONGEST_WAIT_MS = 30_000;
const STATES = { connecting: "connecting", live: "live", waiting: "connection lost, trying again" };

/** Follows the stream for as long as the page lives; `onTaken` is told that something came. */
export function startFeed(onTaken) {
  const deliveries = new Map();
  const [list, none] = [byId("feed"), byId("feed-none")];
  let flush = null;
  let wait = 1_000;

  const draw = () => {
    flush = null;
    const newest = [...deliveries.values()].sort((one, other) => Date.parse(other.at) - Date.parse(one.at)).slice(0, KEPT);
    for (const id of [...deliveries.keys()]) if (!newest.some((each) => each.id === id)) deliveries.delete(id);
    const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
    const first = rows.size === 0;
    list.replaceChildren(...newest.map((each) => rows.get(each.id) ?? row(each, first)));
    none.hidden = newest.length > 0;
  };
  const take = (events) => {
    for (const each of events) deliveries.set(each.id, each);
    flush ??= setTimeout(draw, FLUSH_MS);
  };
  const catchUp = async () => {
    const answer = await recent(KEPT).catch(() => null);
    if (answer) take(answer.events);
  };
  const open = () => {
    const stream = new EventSource(STREAM);
    stream.addEventListener("open", () => {
      wait = 1_000;
      say("live");
      catchUp();
      onTaken();
    });
    stream.addEventListener("taken", (event) => {
      take([JSON.parse(event.data)]);
      onTaken();
    });
    // The browser tries again by itself after a broken connection, but not after an answer that is an error.
    stream.addEventListener("error", () => {
      say("waiting");
      if (stream.readyState !== EventSource.CLOSED) return;
      setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    });
  };
  say("connecting");
  open();
  setInterval(() => {
    for (const time of list.querySelectorAll("time")) time.textContent = ago(time.dateTime);
  }, AGES_MS);
}

function say(state) {
  const line = byId("line");
  if (line.dataset.state === state) return;
  line.dataset.state = state;
  line.textContent = STATES[state];
}

function row(delivery, first) {
  const { id, at, type, document: from, schema, state } = delivery;
  const fails = type !== "extraction.completed";
  return make(
    "li",
    { "data-id": id, class: `${fails ? "bad" : state}${first ? "" : " fresh"}` },
    make(
      "p",
      { class: "head" },
      told(from || "Deliveries", { class: "document", title: from }),
      make("time", { datetime: at, title: at }, ago(at)),
    ),
    make("p", {}, outcome(delivery)),
    !fails && schema && make("p", { class: "schema" }, told(schema)),
  );
}

function outcome({ type, state, entities, relations, events }) {
  if (type === "extraction.failed") return "The extraction failed; nothing was taken from it.";
  if (type === "endpoint.disabled") return "The worker has stopped delivering here: too many posts failed.";
  if (state === "stale") return "Older than what is here; set aside.";
  const counts = [[entities, "entity"], [relations, "relation"], [events, "event"]].filter(([count]) => count);
  return counts.length ? counts.map(([count, noun]) => counted(count, noun)).join(" · ") : "Nothing was found in it.";
}
