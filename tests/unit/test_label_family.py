"""Which texts are one family, and where a family goes."""

import random
from collections import Counter

import pytest
import sqlalchemy as sa
from label_stage import SCHEMA, label, story

from sluice_schemas.labels import share
from sluice_schemas.labels.family import NEAR, normal_form, similarity, sketch
from sluice_schemas.labels.store import LabelStore
from sluice_schemas.sql import database
from sluice_schemas.sql.tables import families

HAN = (
    "二〇二一年三月，蓝色起源公司宣布将在佛罗里达州建造一座新的火箭工厂，预计投资两亿美元，"
    "并为当地创造三百多个工作岗位。公司首席执行官表示，新工厂将用于生产新格伦火箭的主要部件。"
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna  met\nBen", "anna met ben"),  # white space and case
        ("Ａｎｎａ met Ben", "Anna met Ben"),  # width
        ("Invoice 17 of 2021-03-04", "Invoice 9 of 1999-12-31"),  # numbers
        ("共计１２元", "共计9元"),  # in either width
    ],
)
def test_what_does_not_tell_texts_apart(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)
    assert sketch(one) == sketch(other)


def test_a_sketch_is_the_same_for_ever() -> None:
    """What is stored is compared with it: another value here needs a migration that sketches anew."""
    drawn = sketch("Anna met Ben in Ulm. 安娜在乌尔姆遇见了本。")
    assert drawn.digest[:16] == "5dbacd88c52f2095"
    assert drawn.bands[:3] == ("004c35503ea1c4583c", "01de41813b916c422d", "02a22ccb838d98b5a8")


@pytest.mark.parametrize("text", [story("en", words=40), HAN, HAN[:46]], ids=["en", "zh", "a short zh"])
def test_a_text_with_a_word_changed_is_near(text: str) -> None:
    changed = text[: len(text) // 2] + "新" + text[len(text) // 2 + 1 :]
    assert similarity(sketch(text).signature, sketch(changed).signature) >= NEAR
    assert {*sketch(text).bands} & {*sketch(changed).bands}


def test_other_texts_are_not_near() -> None:
    reversed_han = "".join(random.Random(1).sample(HAN, len(HAN)))
    for one, other in ((story("a"), story("b")), (HAN, reversed_han), (HAN, story("a"))):
        assert similarity(sketch(one).signature, sketch(other).signature) < 0.3


@pytest.mark.parametrize("text", ["a", "中", "1"])
def test_the_shortest_text_has_a_sketch(text: str) -> None:
    assert len(sketch(text).bands) == 21


def test_shares_are_as_large_as_they_should_be_and_do_not_depend_on_who_asks() -> None:
    drawn = [share.by_hash(sketch(str(chr(0x4E00 + n))).digest) for n in range(3000)]
    assert drawn == [share.by_hash(sketch(str(chr(0x4E00 + n))).digest) for n in range(3000)]
    parts = Counter[str](drawn)
    for name, part in (("test", 0.1), ("dev", 0.1), ("train", 0.8)):
        assert parts[name] / len(drawn) == pytest.approx(part, abs=0.02)


def test_texts_that_have_much_in_common_are_still_two_families() -> None:
    engine = database.connect("sqlite://")
    store = LabelStore(engine)
    for number in range(20):
        words = story(str(number)).split()
        other = story(f"other {number}").split()
        for text in (words, words[:42] + other[42:]):  # 0.54 of their shingles: most pairs share a band
            store.add(label(" ".join(text)), schema=SCHEMA)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(families)) == 40
    engine.dispose()


def test_a_share_is_kept_when_the_rules_change(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = database.connect("sqlite://")
    store = LabelStore(engine)
    texts = [story(str(number)) for number in range(12)]
    before = [store.add(label(text), schema=SCHEMA).share for text in texts]
    monkeypatch.setattr(share, "TEST", 1.0)
    assert store.add(label(story("new")), schema=SCHEMA).share == "test", "the rules have changed"
    again = [store.add(label(f"{text} again"), schema=SCHEMA).share for text in texts]
    engine.dispose()
    assert before == again
