"""Where values stand: true code point offsets on every script, the best place first, and never a slow search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.ground import Grounder, Place
from sluice_worker.protocol.nearly import MIN_RATIO, closest
from sluice_worker.protocol.normal import normal

FAMILY = "👩\u200d👩\u200d👧"
TEXTS = st.text(alphabet=f"aAbBéÉe\u0301ｅ１1 \u3000\t\n“\"'’-–中國国ß{FAMILY}👍🏽가\u1100\u1161ｶﾞ.。", max_size=60)


def found(text: str, value: str) -> tuple[str, str] | None:
    """The text at the value's place, and the status."""
    place = Grounder(text).place(value)
    return (text[place.start : place.end], place.status) if place else None


@pytest.mark.parametrize(
    ("text", "value", "piece", "status"),
    [
        ("李明在北京大学。", "北京大学", "北京大学", "exact"),
        ("Bob met Ann.", "Ann", "Ann", "exact"),
        ("ＡＢＣ公司成立于２０２４年", "ABC公司", "ＡＢＣ公司", "normalised"),  # full-width letters
        ("成立于２０２４年", "2024", "２０２４", "normalised"),  # and digits
        ("New\n  York City", "new york", "New\n  York", "normalised"),  # case and white space
        ("the “Blue–Sky” plan", '"blue-sky" plan', "“Blue–Sky” plan", "normalised"),  # quotes and dashes
        ("au cafe\u0301 noir", "caf\u00e9", "cafe\u0301", "normalised"),  # the same letter in two code points
        ("au caf\u00e9 noir", "cafe\u0301", "caf\u00e9", "normalised"),
        ("die Straße", "STRASSE", "Straße", "normalised"),  # one letter folds to two
        ("서울에서", "\u1109\u1165\u110b\u116e\u11af", "서울", "normalised"),  # Hangul in parts
        (f"the {FAMILY} sign", FAMILY, FAMILY, "exact"),
        ("wait…", "wait...", "wait…", "normalised"),  # one character that stands for three
        ("campus of the US army", "us", "US", "normalised"),  # a whole word rather than a part of one
        ("ab cab", "ab", "ab", "exact"),
        ("15 of 5", "5", "5", "exact"),
        ("iPhone手机", "iPhone", "iPhone", "exact"),  # Chinese needs no spaces
        ("campus", "us", "us", "exact"),  # nothing better
        (f"only {FAMILY} here", "👧", "👧", "exact"),  # a part of a character, if nothing better
        (
            "by International Busines Machines Corp",
            "International Business Machines",
            "International Busines Machines",
            "fuzzy",
        ),
        ("中华人民共和国国务院办公室发布", "中华人民共和国国务院办公厅", "中华人民共和国国务院办公", "fuzzy"),
        ("a", " a ", "a", "normalised"),  # margins are no part of a value
    ],
)
def test_found(text: str, value: str, piece: str, status: str) -> None:
    assert found(text, value) == (piece, status)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Bob met Ann.", "Eve"),
        ("Bob", ""),
        ("Bob", "  "),
        ("", "Bob"),
        ("ß", "s"),  # half of a folded letter
        ("wait…", "wait."),
        ("Anne Smith came", "Anna Smith"[:7]),  # too short to be taken for another
        ("founded on 12 March 2021", "founded on 12 March 2022"),  # another number is another date
        ("the Ministry of Foreign. Affairs", "the Ministry of Foreign Affairs"),  # never across a sentence end
        ("外交部的发言人。王文斌今天说", "外交部的发言人王文斌今天说"),
    ],
)
def test_absent(text: str, value: str) -> None:
    assert found(text, value) is None


def test_which_of_two_places() -> None:
    """At word boundaries first, at "Ann" of line 2; not in "Annex". Then the other case, and then it stays there."""
    grounder = Grounder("Annex\nAnn and ANN")
    assert [grounder.successive("Ann") for _ in range(3)] == [
        Place(6, 9, "exact"),
        Place(14, 17, "normalised"),
        Place(14, 17, "normalised"),
    ]


def test_successive_mentions_take_successive_places_and_stay_on_the_last() -> None:
    grounder = Grounder("苹果说苹果不是苹果")
    assert [grounder.successive("苹果") for _ in range(4)] == [Place(at, at + 2, "exact") for at in (0, 3, 7, 7)]
    assert grounder.place("苹果") == Place(0, 2, "exact")
    assert grounder.successive("梨") is None


def test_a_value_under_another_type_starts_anew() -> None:
    grounder = Grounder("苹果说苹果")
    said = [grounder.successive("苹果", said_as=each) for each in ("公司", "公司", "产品")]
    assert said == [Place(0, 2, "exact"), Place(3, 5, "exact"), Place(0, 2, "exact")]


def test_places_do_not_overlap() -> None:
    assert Grounder("哈哈哈哈哈").places("哈哈") == [Place(0, 2, "exact"), Place(2, 4, "exact")]


@pytest.mark.parametrize(
    ("text", "value", "anchor", "start"),
    [
        ("Ann then told Bob of Ann.", "Ann", "Bob", 21),  # 4 away, not 11
        ("Ann. Bob left at once with Ann.", "Ann", "Bob", 27),  # in the same sentence
        ("Ann Bob and then Ann", "Ann", "Bob", 0),
        ("New York University is in New York", "New York", "New York University", 26),  # not inside the anchor
        ("New York University", "New York", "New York University", 0),  # unless it stands nowhere else
        ("Ann Bob Ann", "Ann", "Eve", 0),  # an anchor that is absent
    ],
)
def test_nearest(text: str, value: str, anchor: str, start: int) -> None:
    grounder = Grounder(text)
    place = grounder.nearest(value, grounder.place(anchor))
    assert place is not None
    assert place.start == start


def test_nearest_pair() -> None:
    grounder = Grounder("Ann. Bob left. Later Ann married Bob.")
    # Both in one sentence, though "Ann. Bob" stands closer.
    assert grounder.nearest_pair("Ann", "Bob") == (Place(21, 24, "exact"), Place(33, 36, "exact"))
    assert grounder.nearest_pair("Ann", "Eve") == (Place(0, 3, "exact"), None)


def test_a_place_of_a_chunk_is_shifted_into_the_document() -> None:
    assert Place(2, 5, "exact").shifted(100) == Place(102, 105, "exact")


def assert_true(text: str, value: str, place: Place) -> None:
    piece = text[place.start : place.end]
    assert piece
    if place.status == "exact":
        assert piece == value
    elif place.status == "normalised":
        assert normal(piece).text == normal(value.strip()).text
    else:
        wanted = normal(value.strip()).text
        match = closest(wanted, normal(piece).text)
        assert match is not None
        assert match[2] <= (1 - MIN_RATIO) * len(wanted)


@given(TEXTS, st.data())
def test_a_part_of_the_text_is_found_where_it_says(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    value = text[start : data.draw(st.integers(start, len(text)))]
    place = Grounder(text).place(value)
    assert (place is None) == (not value.strip())
    if place:
        assert_true(text, value, place)


@given(TEXTS, TEXTS)
def test_whatever_is_found_reads_like_the_value(text: str, value: str) -> None:
    for place in Grounder(text).places(value):
        assert_true(text, value, place)


@given(TEXTS, st.lists(st.integers(0, 60), min_size=2, max_size=2), st.sampled_from(["casefold", "upper", "strip"]))
def test_other_spellings_are_found_too(text: str, ends: list[int], change: str) -> None:
    """Cut at the ends of characters a reader sees: a part of one has another normal form."""
    whole = normal(text)
    start, end = sorted(min(each, len(whole.text)) for each in ends)
    span = whole.span(start, end) if start < end else None
    if span and text[slice(*span)].strip():
        value = getattr(text[slice(*span)], change)()
        if normal(value).text == whole.text[start:end]:
            assert Grounder(text).place(value) is not None


def test_the_index_finds_what_reading_finds() -> None:
    text = "".join(f"Person{number} 在第{number % 7}城 met ann{number % 13}. " for number in range(200))
    values = [text[at : at + size] for at in range(0, 4000, 97) for size in (1, 2, 3, 9)] + ["absent", "第9城"]
    indexed = Grounder(text)
    assert [indexed.places(value) for value in values] == [Grounder(text).places(value) for value in values]


@pytest.mark.timeout(120)
def test_a_long_text_and_many_mentions() -> None:
    """A second or two; comparing each mention with the whole text would take many minutes."""
    text = "".join(
        f"In {1900 + at % 120} Company{at} 与第{at}号公司 signed contract no. {at * 7}.\n" for at in range(20_000)
    )
    values = [f"Company{at}" for at in range(0, 20_000, 8)] + [
        f"The Companies {at} of nowhere at all" for at in range(2500)
    ]
    grounder = Grounder(text)
    hits = sum(grounder.successive(value) is not None for value in values)
    assert len(text) > 900_000
    assert hits == 2500


@pytest.mark.timeout(30)
@pytest.mark.parametrize("is_indexed", [False, True])
def test_text_that_repeats_itself_takes_no_long_time(is_indexed: bool) -> None:
    grounder = Grounder("ab" * 500_000)
    for number in range(150 * is_indexed):
        grounder.place(f"z{number}z")
    assert grounder.place("ab" * 100_000) == Place(0, 200_000, "exact")
    assert len(grounder.places("ab" * 1_000)) == 500, "none overlaps another"
    assert grounder.place("ab" * 100_000 + "c") is None


@pytest.mark.timeout(30)
def test_an_answer_that_repeats_itself_takes_no_long_time() -> None:
    """Each of a thousand equal relations could be held against ten thousand places."""
    grounder = Grounder("a b " * 20_000)
    assert {grounder.nearest_pair("a", "b") for _ in range(3_000)} == {(Place(0, 1, "exact"), Place(2, 3, "exact"))}
    anchor = grounder.place("b")
    assert {grounder.nearest("a", anchor) for _ in range(10_000)} == {Place(0, 1, "exact")}
