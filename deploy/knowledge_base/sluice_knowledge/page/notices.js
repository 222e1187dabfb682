// What the page says when it has nothing else to show.
import { HOME } from "./address.js";
import { make } from "./elements.js";

function notice(title, sentence, ...ways) {
  return make(
    "section",
    { class: "notice" },
    make("h1", { tabindex: "-1" }, title),
    make("p", { dir: "auto" }, sentence),
    ways.length > 0 && make("p", { class: "ways" }, ways),
  );
}

const start = () => make("a", { class: "button", href: HOME }, "To the start");

export const nothingYet = () =>
  notice(
    "Nothing is here yet",
    "The knowledge base is ready and waits for its first document. " +
      "As soon as a worker delivers a result to this server, its entities, facts and events appear here.",
  );

export const missing = () => notice("There is no such page", "The address names nothing that this page can show.", start());

/** `again` is called when the reader asks to try again. */
export function failed(error, again) {
  if (error.status === 404) return notice("This entity is not here", error.message, start());
  const button = make("button", { type: "button", class: "button" }, "Try again");
  button.addEventListener("click", again);
  return notice("That did not work", error.message, button, start());
}

export const partly = (sentence) => make("p", { class: "partly" }, sentence);
