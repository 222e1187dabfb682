"""Tables and pictures as Markdown, and as a page that needs nothing but itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("report.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain texts; the first `text` columns are words, the others figures."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: int


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG element of ours, and what it shows."""

    title: str
    svg: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    tables: Sequence[Table]
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    lead: str
    facts: Mapping[str, str]
    sections: Sequence[Section]


def markdown(page: Page) -> str:
    """Without the pictures."""
    return "\n".join(_markdown(page)) + "\n"


def html(page: Page) -> str:
    """With the pictures; whatever stands in a name is text there."""
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in page.facts.items())
    sections = "".join(map(_section, page.sections))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="content-security-policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head><body><main>"
        f'<p class="brand">Sluice</p><h1>{escape(page.title)}</h1><p class="lead">{escape(page.lead)}</p>'
        f"<dl>{facts}</dl>{sections}</main></body></html>\n"
    )


def _section(section: Section) -> str:
    pictures = "".join(
        f'<figure role="img" aria-label="{escape(each.title)}">{each.svg}<figcaption>{escape(each.title)}</figcaption>'
        "</figure>"
        for each in section.pictures
    )
    return f"<section><h2>{escape(section.title)}</h2>{''.join(map(_table, section.tables))}{pictures}</section>"


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(_cell(each, tag, i >= table.text) for i, each in enumerate(cells)) + "</tr>"

    body = "".join(row(each, "td") for each in table.rows)
    # A box that scrolls must be reachable by keyboard.
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead>{row(table.heads, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str, tag: str, is_figure: bool) -> str:
    classes = [*(["num"] if is_figure else []), *(["bad"] if text == "FAILED" else [])]
    marked = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{tag}{marked}>{escape(text)}</{tag}>"


def _markdown(page: Page) -> Iterator[str]:
    yield f"# {_plain(page.title)}\n\n{_plain(page.lead)}\n"
    for name, value in page.facts.items():
        yield f"- {_plain(name)}: {_plain(value)}"
    for section in page.sections:
        if section.tables:
            yield f"\n## {_plain(section.title)}"
        for table in section.tables:
            yield ""
            yield _line(table.heads)
            yield "|" + "".join("---|" if i < table.text else "---:|" for i in range(len(table.heads)))
            yield from map(_line, table.rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    """Markdown allows HTML and ends a cell at a bar."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")
