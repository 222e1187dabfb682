"""`sluice view` shows a document whole, with each value marked where it stands, whatever the text."""

import io
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sluice_producer.view import table
from sluice_producer.view.command import view
from sluice_producer.view.findings import tally
from sluice_producer.view.page import render
from sluice_producer.view.segments import segments
from sluice_schemas.extraction import Argument, EventMention, Extraction, Mention, Problem, Relation, Span

HOSTILE = (
    "<script>alert(1)</script></script><!-- ]]> <img src=x onerror='alert(2)'> \"quoted\" 'single' & &amp; &lt;\r\n"
    "\u202egnitirw\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \x01\x07\x1b[31m\x7f\x85\x9b\ufeff\u2028 "
    '$style ${script} " onfocus="alert(3)'
)
VOID = {"meta", "input", "rect", "circle", "br", "img"}

texts = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.sampled_from("<>&\"'\r\n😀́中"))
)


def placed(text: str, start: int, end: int, type_: str | None = "thing") -> Mention:
    return Mention(text=text[start:end], type=type_, span=Span(start=start, end=end), status="exact")


def result(text: str | None, *entities: Mention, document_id: str = "d-1", **fields: object) -> Extraction:
    defaults = {"job_id": "j", "schema_ref": "news/entities-en@1", "task": "NER", "language": "en", "model": "tiny"}
    return Extraction.model_validate(
        {**defaults, "document_id": document_id, "text": text, "entities": entities, **fields}
    )


@st.composite
def spans_over(draw: st.DrawFn) -> tuple[str, list[Span]]:
    text = draw(texts.filter(bool))
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda pair: pair[0] != pair[1])
    pairs = draw(st.lists(ends, max_size=8))
    return text, [Span(start=min(pair), end=max(pair)) for pair in pairs]


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Reader(HTMLParser):
    """Reads a page as a browser does, as far as these tests need: each element with all the text inside it."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read(html: str) -> list[Element]:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader.elements


def shown_text(elements: list[Element]) -> str:
    (text,) = [each.text for each in elements if (each.attributes.get("id") or "").startswith("x")]
    return text


def marked(elements: list[Element]) -> dict[str, str]:
    """The text under each mark, its pieces joined."""
    found: dict[str, str] = {}
    for each in elements:
        if each.tag == "mark" and (number := each.attributes.get("data-m")):
            found[number] = found.get(number, "") + each.text
    return found


def run(path: Path, *options: str) -> Result:
    return CliRunner().invoke(view, [str(path), *options], env={"COLUMNS": "80"})


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


@given(spans_over())
def test_segments_are_the_text_and_cover_each_span(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    pieces = list(segments(text, spans))
    assert "".join(piece.text for piece in pieces) == text
    for index, span in enumerate(spans):
        assert "".join(piece.text for piece in pieces if index in piece.cover) == text[span.start : span.end]


@given(spans_over())
def test_segments_put_the_longer_span_outside(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    for piece in segments(text, spans):
        lengths = [spans[index].end - spans[index].start for index in piece.cover]
        assert lengths == sorted(lengths, reverse=True)


@given(spans_over())
def test_page_shows_any_text_whole_and_marks_exactly_the_spans(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    mentions = [placed(text, span.start, span.end, f"t{number}") for number, span in enumerate(spans)]
    elements = read(render([result(text, *mentions)]))
    assert shown_text(elements) == text
    expected = {str(number): text[span.start : span.end] for number, span in enumerate(spans)}
    assert marked(elements) == expected


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("日本 😀😀 Zoë", 6, 9),  # two code units a face in UTF-16: the offsets count code points
        ("Cafe\u0301 Noir", 0, 5),  # a combining accent is a code point of its own
        ("👩‍👩‍👧 family", 0, 5),  # three people and two joiners
        ("A&B <b>", 0, 3),  # an escape is longer than what it stands for
    ],
)
def test_marks_count_code_points(text: str, start: int, end: int) -> None:
    assert marked(read(render([result(text, placed(text, start, end))]))) == {"0": text[start:end]}


def test_hostile_words_stay_text_everywhere() -> None:
    mention = placed(HOSTILE, 3, 40, HOSTILE)
    lost = Mention(text=HOSTILE, type=HOSTILE)
    hostile = result(
        HOSTILE,
        mention,
        lost,
        document_id=HOSTILE[:200],
        schema_ref=HOSTILE,
        model=HOSTILE,
        adapter=HOSTILE,
        relations=[Relation(type=HOSTILE, head=mention, tail=lost)],
        events=[EventMention(type=HOSTILE, trigger=mention, arguments=(Argument(role=HOSTILE, value=lost),))],
        problems=[Problem(kind="unparsed", detail=HOSTILE, raw=HOSTILE)],
    )
    elements = read(render([hostile], unread=[HOSTILE]))
    assert [each.tag for each in elements].count("script") == 1
    assert not any(each.tag == "img" for each in elements)
    assert not any(name.startswith("on") for each in elements for name in each.attributes)
    assert [each.attributes["data-schema"] for each in elements if each.tag == "article"] == [HOSTILE]
    assert shown_text(elements) == HOSTILE
    assert marked(elements)["0"] == HOSTILE[3:40]


def test_nul_is_shown_by_its_symbol_so_that_places_hold() -> None:
    assert marked(read(render([result("a\0bc", placed("a\0bc", 1, 3))]))) == {"0": "␀b"}


def test_page_needs_nothing_from_outside_and_allows_only_its_own_script() -> None:
    html = render([result("Ada", placed("Ada", 0, 3))])
    policy = next(
        each.attributes["content"]
        for each in read(html)
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not any({"src", "href", "style"} & set(each.attributes) - {"href"} for each in read(html))
    assert "http://" not in html
    assert "https://" not in html


def test_the_same_value_said_twice_is_one_mark_of_both_facts() -> None:
    text = "Ada was born in London"
    ada, london = placed(text, 0, 3, None), placed(text, 16, 22, None)
    relations = [Relation(type=name, head=ada, tail=london) for name in ("born in", "died in")]
    elements = read(render([result(text, task="RE", relations=relations)]))
    assert marked(elements) == {"0": "Ada", "1": "London", "2": "London"}
    facts = [each.attributes["data-m"] for each in elements if each.attributes.get("class") == "fact"]
    assert facts == ["0 1", "0 2"]


@pytest.mark.parametrize(
    ("extraction", "said"),
    [
        # a value the model made up
        (result("Ada", Mention(text="Paris", type="place")), "Not found in the text"),
        # a place beyond the text: the file's text is not the one that was read
        (result("Ada", placed("Ada Lovelace", 4, 12)), "Not found in the text"),
        # a result without its document
        (result(None, placed("Ada", 0, 3)), "The file holds no text"),
        # what went wrong is said, with the evidence
        (result("Ada", problems=[Problem(kind="cut_answer", detail="Half an answer.", raw="{")]), "Half an answer."),
    ],
)
def test_what_cannot_be_marked_is_said(extraction: Extraction, said: str) -> None:
    html = render([extraction])
    assert said in html
    assert marked(read(html)) == {}


def test_only_a_long_text_is_folded_and_it_is_all_there() -> None:
    long = "word " * 4_000 + "END"
    html = render([result(long, document_id="long"), result("short", document_id="short")])
    assert html.count('class="more"') == 1
    assert "Show all 20,003 characters" in html
    assert long in html


def test_page_of_fifty_documents_is_small_and_the_same_each_time() -> None:
    text = "Ada Lovelace met Charles Babbage in London. " * 20
    names = [placed(text, start, start + 12, f"type {start % 7}") for start in range(0, 440, 22)]
    results = [result(text, *names, document_id=f"d-{number}") for number in range(50)]
    assert render(results) == render(results)
    assert len(render(results).encode()) < 1_000_000


def test_tally_counts_values_not_facts_and_never_rounds_up() -> None:
    text = "Ada"
    counts = tally([result(text, *[placed(text, 0, 3)] * 199, Mention(text="Bob"))])
    assert (counts.facts, counts.values, counts.grounded, counts.share) == (200, 200, 199, "99 %")
    assert tally([result(text)]).share == "–"


def test_table_keeps_its_columns_under_double_width_text(tmp_path: Path) -> None:
    text = "海图博物馆收到230万美元捐款，馆长沈若兰在哈尔滨致谢。"
    chinese = result(text, placed(text, 0, 5), placed(text, 7, 13), document_id="馆长沈若兰在哈尔滨致谢海图博物馆")
    english = result("Ada", placed("Ada", 0, 3), document_id="a" * 200)
    path = tmp_path / "results.jsonl"
    path.write_bytes(chinese.encode() + b"\n" + english.encode() + b"\n")
    lines = [line.rstrip() for line in run(path).stdout.splitlines()]
    assert {width(line) for line in lines if "100 %" in line} == {80}
    assert max(width(line) for line in lines) == 80


def test_a_bad_line_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = result("Ada", placed("Ada", 0, 3)).encode()
    path, page = tmp_path / "results.jsonl", tmp_path / "new" / "page.html"
    path.write_bytes(good + b"\n\n{broken\n\xff\xfe\n" + good + b"\n")
    done = run(path, "--html", str(page))
    assert done.exit_code == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["line 3", "line 4"]
    assert done.stdout.count("d-1") == 2
    assert "2 lines could not be read" in page.read_text()


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"")
    done = run(path, "--html", str(tmp_path / "page.html"))
    assert (done.exit_code, "No results to show." in done.stdout) == (0, True)


def test_totals_stand_by_task_and_problems_by_kind(tmp_path: Path) -> None:
    text = "Ada"
    path = tmp_path / "results.jsonl"
    ada = placed(text, 0, 3)
    rows = [
        result(text, ada, problems=[Problem(kind="repaired", detail="x")] * 2),
        result(text, task="RE", relations=[Relation(type="knows", head=ada, tail=Mention(text="Bob"))]),
    ]
    path.write_bytes(b"\n".join(row.encode() for row in rows))
    lines = [line.split() for line in run(path).stdout.splitlines()]
    assert ["NER", "Entities", "1", "1", "1", "100", "%", "2"] in lines
    assert ["RE", "Relations", "1", "1", "2", "50", "%", "–"] in lines
    assert ["All", "2", "2", "3", "66", "%", "2"] in lines
    assert ["Problems:", "repaired", "2"] in lines


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07x", "�[2J�]0;title�x"),  # an escape sequence would clear the screen
        ("a\r\nb\u2028c\u00a0d", "a b c d"),  # one row stays one line
        ("\u202eabc\u202c", "abc"),  # a change of direction would turn the row round
        ("❤️", "❤"),  # terminals disagree on the width of the emoji form
        ("[red]x[/red] :smile:", "[red]x[/red] :smile:"),  # rich's own markup is only text
    ],
)
def test_document_text_cannot_drive_the_terminal(given_: str, shown: str) -> None:
    assert table.plain(given_) == shown
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None, markup=False, emoji=False)
    table.show(console, [result("x", Mention(text=given_), document_id=given_)])
    assert out.getvalue().count(shown) == 2
    assert "\x1b" not in out.getvalue()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_plain_leaves_no_control_character(text: str) -> None:
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in table.plain(text))
