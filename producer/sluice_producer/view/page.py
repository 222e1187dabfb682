"""Results as one HTML page that needs no network and runs nothing but its own script."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from string import Template

from sluice_producer.view.card import Card, Hues
from sluice_producer.view.findings import STATUSES, TASK_NAMES, Tally, by_task, tally, values
from sluice_producer.view.markup import attributes, safe
from sluice_schemas.extraction import Extraction

COLOURS = 12
"""Hues in the style sheet; labels beyond share them."""

STATE_NAMES = {
    "grounded": "All in the text",
    "exact": "Has exact values",
    "normalised": "Has normalised values",
    "fuzzy": "Has fuzzy values",
    "absent": "Has values not in the text",
    "problems": "Has problems",
    "nothing": "Nothing found",
}


def render(extractions: Sequence[Extraction], *, unread: Sequence[str] = ()) -> str:
    """The page. The same results give the same bytes. `unread` tells of lines that held no result."""
    style, script = _part("page.css"), _part("page.js")
    hues = _hues(extractions)
    cards = [Card(each, number=number, hues=hues[each.schema_ref]) for number, each in enumerate(extractions)]
    schemas = sorted({each.schema_ref for each in extractions})
    return Template(_part("page.html")).substitute(
        title=_title(extractions),
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
        summary=_summary(extractions),
        unread=_unread(unread),
        task_options=_options({task: TASK_NAMES[task] for task in by_task(extractions)}),
        schema_options=_options({ref: ref for ref in schemas}),
        status_options=_options(STATE_NAMES),
        cards="".join(card.html() for card in cards),
    )


def _part(name: str) -> str:
    return files("sluice_producer.view").joinpath(name).read_text(encoding="utf-8").strip()


def _digest(content: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _hues(extractions: Iterable[Extraction]) -> dict[str, Hues]:
    """For each schema, its labels' colours in the order in which they first appear."""
    labels: dict[str, dict[str | None, int]] = {}
    for each in extractions:
        known = labels.setdefault(each.schema_ref, {None: 0})
        for label in _labels(each):
            known.setdefault(label, 1 + (len(known) - 1) % COLOURS)
    return dict(labels)


def _labels(extraction: Extraction) -> list[str | None]:
    triggerless = [event.type for event in extraction.events]
    return [*(value.label for value in values(extraction)), *triggerless]


def _title(extractions: Sequence[Extraction]) -> str:
    counts = tally(extractions)
    return f"{_count(counts.facts, 'finding')} in {_count(counts.documents, 'document')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _summary(extractions: Sequence[Extraction]) -> str:
    counts = tally(extractions)
    tiles = (
        _tile("Documents", f"{counts.documents:,}", is_bad=False),
        _tile("Values", f"{counts.values:,}", is_bad=False),
        _tile("Stand in the text", counts.share, is_bad=False),
        _tile("Problems", f"{counts.problems:,}", is_bad=counts.problems > 0),
    )
    return f'<dl class="tiles">{"".join(tiles)}</dl>\n{_bar(counts)}\n{_tasks(extractions)}'


def _tile(name: str, number: str, *, is_bad: bool) -> str:
    named = attributes(class_="bad" if is_bad else None)
    return f"<div{named}><dt>{name}</dt><dd>{number}</dd></div>"


def _bar(counts: Tally) -> str:
    """The shares of the statuses as one bar; widths are attributes, since the policy forbids styles on elements."""
    if not counts.values:
        return ""
    rects, items, at = [], [], 0.0
    for status in STATUSES:
        width = 100 * counts.statuses[status] / counts.values
        rects.append(f'<rect class="{status}" x="{at:.3f}%" width="{width:.3f}%" height="100%"/>')
        dot = f'<svg class="dot {status}" viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5"/></svg>'
        items.append(f"<li>{dot}<b>{counts.statuses[status]:,}</b> {status}</li>")
        at += width
    return f'<svg class="bar" aria-hidden="true">{"".join(rects)}</svg>\n<ul class="split">{"".join(items)}</ul>'


def _tasks(extractions: Sequence[Extraction]) -> str:
    names = ("Documents", "Found", "Values", "In the text", "Problems")
    head = "".join(f'<th class="num">{name}</th>' for name in names)
    rows = []
    for task, counts in by_task(extractions).items():
        numbers = (counts.documents, counts.facts, counts.values)
        cells = [*(f"{number:,}" for number in numbers), counts.share, f"{counts.problems:,}"]
        tail = "".join(f'<td class="num">{cell}</td>' for cell in cells)
        rows.append(f'<tr><th scope="row">{TASK_NAMES[task]}<span class="task">{task}</span></th>{tail}</tr>')
    table = f"<table><thead><tr><th>Task</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="scroll totals">{table}</div>' if rows else ""


def _unread(faults: Sequence[str]) -> str:
    items = "".join(f"<li><bdi>{safe(fault)}</bdi></li>" for fault in faults)
    title = f"{_count(len(faults), 'line')} could not be read"
    return f'<section class="faults"><h3>{title}</h3><ul>{items}</ul></section>' if faults else ""


def _options(names: Mapping[str, str]) -> str:
    return "".join(f"<option{attributes(value=value)}>{safe(name)}</option>" for value, name in names.items())
