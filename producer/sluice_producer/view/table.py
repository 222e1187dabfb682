"""Results as a table for a terminal of 80 columns, Chinese included."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sluice_producer.view.findings import TASK_NAMES, Tally, by_task, tally
from sluice_schemas.extraction import EventMention, Extraction, Relation

VALUES_SHOWN = 6
"""No terminal has room for more in one line."""


def show(console: Console, extractions: Sequence[Extraction]) -> None:
    """Prints one row a document, then the totals by task, then the problems by kind."""
    if not extractions:
        console.print("No results to show.")
        return
    console.print(_documents(extractions, width=console.width))
    console.print()
    console.print(_totals(extractions))
    if kinds := Counter(problem.kind for each in extractions for problem in each.problems):
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        console.print(f"\nProblems: {told}", soft_wrap=True)


def plain(text: str) -> str:
    """`text` on one line and harmless to a terminal.

    Values come from documents and models: an escape sequence or a change of writing direction in one must not act here.
    Invisible format characters and variation selectors go, as terminals disagree on their width.
    """
    kept = [_plain_char(char) for char in text]
    return " ".join("".join(kept).split())


def _plain_char(char: str) -> str:
    category = unicodedata.category(char)
    if char.isspace():
        return " "
    if category == "Cc":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category == "Cf" or "\ufe00" <= char <= "\ufe0f" else char


def _documents(extractions: Sequence[Extraction], *, width: int) -> Table:
    table = _table()
    table.add_column("Document", max_width=width // 4, no_wrap=True, overflow="ellipsis")
    table.add_column("Schema", max_width=width // 4, no_wrap=True, overflow="ellipsis")
    table.add_column("Found", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("In text", width=7, justify="right")
    table.add_column("Problems", width=8, justify="right")
    for each in extractions:
        counts = tally([each])
        names = (Text(plain(each.document_id)), Text(plain(each.schema_ref), "dim"), _found(each, counts))
        table.add_row(*names, _share(counts), _problems(counts))
    return table


def _totals(extractions: Sequence[Extraction]) -> Table:
    table = _table()
    table.add_column("Totals", no_wrap=True, ratio=1)
    for name in ("Documents", "Found", "Values", "In text", "Problems"):
        table.add_column(name, justify="right", no_wrap=True)
    tallies = by_task(extractions)
    for task, counts in tallies.items():
        table.add_row(Text(f"{task} {TASK_NAMES[task]}"), *_counts(counts))
    if len(tallies) > 1:
        table.add_row(Text("All", "bold"), *_counts(tally(extractions)))
    return table


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, expand=True, padding=0, show_edge=False, header_style="bold")


def _counts(counts: Tally) -> tuple[Text, ...]:
    numbers = [Text(f"{number:,}") for number in (counts.documents, counts.facts, counts.values)]
    return (*numbers, _share(counts), _problems(counts))


def _share(counts: Tally) -> Text:
    return Text(counts.share, "yellow" if counts.grounded < counts.values else "green" if counts.values else "dim")


def _problems(counts: Tally) -> Text:
    return Text(str(counts.problems), "yellow") if counts.problems else Text("–", "dim")


def _found(extraction: Extraction, counts: Tally) -> Text:
    told = [each.text for each in extraction.entities[:VALUES_SHOWN]]
    told += [_relation(each) for each in extraction.relations[:VALUES_SHOWN]]
    told += [_event(each) for each in extraction.events[:VALUES_SHOWN]]
    if not counts.facts:
        return Text("nothing", "dim")
    return Text.assemble((f"{counts.facts} ", "bold"), plain(", ".join(told)))


def _relation(relation: Relation) -> str:
    return f"{relation.head.text} → {relation.tail.text}"


def _event(event: EventMention) -> str:
    return f"{event.type}: {event.trigger.text}" if event.trigger else event.type
