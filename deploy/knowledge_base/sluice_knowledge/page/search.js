// Search as you type: the combobox of the ARIA patterns, with a list box below it.
import { search as ask } from "./api.js";
import { entityAddress } from "./address.js";
import { byId, make, told } from "./elements.js";
import { typeNames } from "./naming.js";
import { counted } from "./wording.js";

const PAUSE_MS = 140;
const SHOWN = 20;

/** Sets up the field; `go` gets the address of what is chosen. */
export function startSearch(go) {
  const [field, box, list, none, said] = ["find", "found-box", "found", "found-none", "found-said"].map(byId);
  let results = [];
  let active = -1;
  let timer = null;
  let asking = null;
  let answered = null;

  const isOpen = () => !box.hidden;
  const close = () => {
    clearTimeout(timer);
    asking?.abort();
    box.hidden = true;
    field.setAttribute("aria-expanded", "false");
    activate(-1);
  };
  const activate = (index) => {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = index;
    const option = list.children[active];
    if (!option) return field.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option.id);
  };
  const show = (words, found, sentence) => {
    [results, answered, active] = [found, words, -1];
    list.replaceChildren(...found.map(option));
    field.removeAttribute("aria-activedescendant");
    list.hidden = !found.length;
    none.hidden = !sentence;
    none.textContent = sentence ?? "";
    said.textContent = sentence ?? counted(found.length, "entity");
    box.hidden = false;
    field.setAttribute("aria-expanded", String(found.length > 0));
  };
  const look = async () => {
    clearTimeout(timer);
    asking?.abort();
    asking = new AbortController();
    const words = field.value.trim();
    try {
      const { results: found } = await ask(words, SHOWN, asking.signal);
      if (document.activeElement !== field) return;
      const nothing = words ? `Nothing here is called “${words}”.` : "Nothing is here yet.";
      show(words, found, found.length ? null : nothing);
    } catch (error) {
      if (error.name !== "AbortError") show(words, [], error.message);
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  };
  const choose = (result) => {
    close();
    field.value = "";
    field.blur();
    go(entityAddress(result.id));
  };
  /** Enter may come before the answer: then what was typed is asked for first. */
  const enter = async () => {
    if (answered !== field.value.trim() || !isOpen()) await look();
    const result = results[Math.max(active, 0)];
    if (result && isOpen()) choose(result);
  };
  const step = async (by) => {
    if (!isOpen()) await look();
    const count = results.length;
    if (count) activate(active < 0 ? (by > 0 ? 0 : count - 1) : (active + by + count) % count);
  };

  field.addEventListener("input", (event) => { if (!event.isComposing) soon(); });
  field.addEventListener("compositionend", soon);
  field.addEventListener("focus", look);
  field.addEventListener("click", () => { if (!isOpen()) look(); });
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    // While an input method composes, its keys are its own.
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const leave = () => (isOpen() ? close() : field.blur());
    const act = { ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: enter, Escape: leave }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  // Pressing must not take the focus from the field, which would close the list before the click.
  box.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const chosen = event.target.closest("[role=option]");
    if (chosen) choose(results[[...list.children].indexOf(chosen)]);
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, select, textarea")) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}

function option({ label, types, evidences }, index) {
  return make(
    "li",
    { role: "option", id: `found-${index}`, "aria-selected": "false" },
    told(label, { class: "label" }),
    typeNames(types),
    make("span", { class: "number" }, counted(evidences, "source")),
  );
}
