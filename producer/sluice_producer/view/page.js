"use strict";
(() => {
  const root = document.documentElement;
  const cards = [...document.querySelectorAll("article")];
  const byId = (id) => document.getElementById(id);
  root.classList.add("js");
  byId("tools").hidden = false;

  // Filters. What a card can be searched for is read once, when the first letter is typed.
  const haystacks = new Map();
  const folded = (text) => text.normalize("NFKC").toLowerCase();
  const haystack = (card) => {
    if (!haystacks.has(card)) haystacks.set(card, folded(card.textContent));
    return haystacks.get(card);
  };
  const matches = (card, query) =>
    (!byId("task").value || card.dataset.task === byId("task").value) &&
    (!byId("schema").value || card.dataset.schema === byId("schema").value) &&
    (!byId("status").value || card.dataset.status.split(" ").includes(byId("status").value)) &&
    (!query || haystack(card).includes(query));
  const filter = () => {
    const query = folded(byId("find").value.trim());
    let shown = 0;
    for (const card of cards) {
      card.hidden = !matches(card, query);
      if (!card.hidden) shown += 1;
    }
    byId("count").textContent = `${shown} of ${cards.length}`;
    byId("empty").hidden = shown > 0 || cards.length === 0;
  };
  for (const kind of ["input", "change"]) byId("tools").addEventListener(kind, filter);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("names").addEventListener("change", (event) => root.classList.toggle("nameless", !event.target.checked));
  byId("clear").addEventListener("click", () => {
    for (const id of ["find", "task", "schema", "status"]) byId(id).value = "";
    filter();
    byId("find").focus();
  });
  // A reload keeps what was typed in the fields, so the cards must follow them.
  root.classList.toggle("nameless", !byId("names").checked);
  filter();

  // Long texts.
  const unfold = (card) => {
    const button = card.querySelector(".more");
    if (!button || button.getAttribute("aria-expanded") === "true") return;
    button.click();
  };
  for (const button of document.querySelectorAll(".more")) {
    const text = byId(button.getAttribute("aria-controls"));
    button.hidden = false;
    button.addEventListener("click", () => {
      const open = text.classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? button.dataset.fold : button.dataset.open;
      if (!open) text.closest("article").scrollIntoView({ block: "start" });
    });
  }
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll(".faults details")) details.open = true;
  });

  // Members of a label, a relation or an event: lit while pointed at or focused, kept lit while pressed.
  let pinned = null;
  const members = (fact) =>
    fact.dataset.m ? fact.dataset.m.split(" ").flatMap((id) => marksOf(fact.closest("article"), id)) : [];
  const marksOf = (card, id) => [...card.querySelectorAll(`mark[data-m="${id}"]`)];
  const dim = () => {
    for (const lit of document.querySelectorAll("mark.lit")) lit.classList.remove("lit");
    for (const card of document.querySelectorAll("article.pointing")) card.classList.remove("pointing");
  };
  const light = (fact) => {
    dim();
    const marks = fact ? members(fact) : [];
    if (!marks.length) return;
    fact.closest("article").classList.add("pointing");
    for (const mark of marks) mark.classList.add("lit");
  };
  const release = () => {
    if (pinned) pinned.setAttribute("aria-pressed", "false");
    pinned = null;
  };
  const reveal = (fact) => {
    const [first] = members(fact);
    if (!first) return;
    const text = first.closest(".text");
    if (first.getBoundingClientRect().bottom > text.getBoundingClientRect().bottom) unfold(fact.closest("article"));
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    first.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  };
  const factAt = (event) => (event.target.closest ? event.target.closest(".fact") : null);
  for (const kind of ["mouseover", "focusin"]) {
    addEventListener(kind, (event) => { if (factAt(event)) light(factAt(event)); });
  }
  for (const kind of ["mouseout", "focusout"]) {
    addEventListener(kind, (event) => { if (factAt(event)) light(pinned); });
  }
  addEventListener("click", (event) => {
    const fact = factAt(event);
    if (!fact) return;
    const again = fact === pinned;
    release();
    if (!again) {
      pinned = fact;
      fact.setAttribute("aria-pressed", "true");
      reveal(fact);
    }
    light(pinned);
  });

  // The other way round: a mark tells which relations and events it takes part in.
  const echo = (mark, on) => {
    const ids = new Set();
    for (let each = mark; each; each = each.parentElement.closest("mark")) ids.add(each.dataset.m);
    for (const fact of mark.closest("article").querySelectorAll(".facts .fact")) {
      const takesPart = (fact.dataset.m || "").split(" ").some((id) => ids.has(id));
      fact.classList.toggle("lit", on && takesPart);
    }
  };
  for (const [kind, on] of [["mouseover", true], ["mouseout", false]]) {
    addEventListener(kind, (event) => {
      const mark = event.target.closest ? event.target.closest("article mark") : null;
      if (mark) echo(mark, on);
    });
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      release();
      dim();
    } else if (event.key === "/" && !event.target.matches("input, select, textarea")) {
      event.preventDefault();
      byId("find").focus();
    }
  });
})();
