// Long lists, a part at a time, and what opens below a row.
import { chevron, make } from "./elements.js";
import { figure } from "./wording.js";

/** Fills `list` with the first `step` of `items`, and has a button for the next; answers what goes into the page. */
export function inParts(list, items, draw, step) {
  const more = make("button", { type: "button", class: "more" });
  let shown = 0;
  const next = () => {
    const added = items.slice(shown, shown + step).map(draw);
    list.append(...added);
    shown += added.length;
    more.textContent = `Show ${figure(Math.min(step, items.length - shown))} more of ${figure(items.length - shown)}`;
    if (shown === items.length) more.remove();
    return added[0];
  };
  next();
  // The button moves on; whoever pressed it by keyboard goes on where the new part begins.
  more.addEventListener("click", () => {
    const first = next();
    first.setAttribute("tabindex", "-1");
    first.focus({ preventScroll: true });
  });
  return shown < items.length ? [list, more] : [list];
}

let opened = 0;

/** A button that opens `below`, which `draw` fills when it is first asked for. `says` is read after the visible words. */
export function disclosure(words, says, draw) {
  opened += 1;
  const below = make("div", { class: "below", id: `below-${opened}`, hidden: true });
  const button = make(
    "button",
    { type: "button", class: "open", "aria-expanded": "false", "aria-controls": below.id },
    words,
    says && make("span", { class: "hush" }, " ", says),
    chevron(),
  );
  button.addEventListener("click", () => {
    if (!below.firstChild) below.append(...[draw()].flat());
    below.hidden = !below.hidden;
    button.setAttribute("aria-expanded", String(!below.hidden));
  });
  return { button, below };
}
