// What a reader without eyes or mouse needs of a page's markup; empty lists are good.
() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all("[id]").map(({ id }) => id);
  const isNamed = (element) => element.ariaLabel || element.textContent.trim() || (element.labels ?? []).length > 0;
  const pointers = ["aria-controls", "aria-labelledby", "aria-activedescendant", "for"];
  const isLoose = ({ parentElement: { tagName, role } }) => !["UL", "OL"].includes(tagName) || (role && role !== "listbox");
  return {
    twice: ids.filter((id, index) => ids.indexOf(id) !== index),
    nameless: all("a, button, input, summary, [role=img], [role=region]").filter((each) => !isNamed(each)).map(({ outerHTML }) => outerHTML),
    dangling: pointers.flatMap((name) => all(`[${name}]`).map((each) => each.getAttribute(name))).filter((id) => !ids.includes(id)),
    loose: all("li").filter(isLoose).length,
    headings: all("h1").length,
    language: document.documentElement.lang,
  };
}
