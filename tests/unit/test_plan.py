"""From a document to its requests: nothing left out, nothing over the context, every label asked once a chunk."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, Misconfigured
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.engine.request import ModelCard
from sluice_worker.plan import Limits, Question, plan
from sluice_worker.protocol.instruction import dump

CARD = ModelCard("m", context_tokens=3000, chunk_tokens=300, answer_tokens=200)
LIMITS = Limits(chunk_tokens=300, overlap_tokens=40, answer_tokens=200)


def ner(count: int = 3, **fields: Any) -> ExtractionSchema:
    types = [{"name": f"type{i}", "description": f"what {i} is"} for i in range(count)]
    return ExtractionSchema.of({"id": "a", "version": 1, "task": "NER", "language": "en", "types": types, **fields})


def questions(
    text: str, schema: ExtractionSchema, *, limits: Limits = LIMITS, card: ModelCard = CARD
) -> list[Question]:
    return plan(Document(id="d", text=text), schema, card=card, count_tokens=len, limits=limits)


def asked(question: Question) -> dict[str, Any]:
    """The instruction object inside the prompt."""
    text = question.prompt.text
    parsed: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return parsed


def test_a_short_text_under_few_labels_is_one_request() -> None:
    (question,) = questions("Bob sleeps.", ner())
    assert asked(question)["schema"] == ["type0", "type1", "type2"]
    assert asked(question)["input"] == "Bob sleeps."
    assert question.chunk.text == "Bob sleeps."


def test_many_labels_are_split_as_trained_in_schema_order() -> None:
    given_questions = questions("Bob sleeps.", ner(14))
    assert [len(each.types) for each in given_questions] == [6, 8]
    assert [name for each in given_questions for name in asked(each)["schema"]] == [f"type{i}" for i in range(14)]


def test_split_num_of_the_schema_goes_before_the_tasks_own() -> None:
    assert len(questions("Bob.", ner(4, split_num=1))) == 4
    assert len(questions("Bob.", ner(14, split_num=-1))) == 1


def test_described_types_go_out_together_with_their_descriptions() -> None:
    (question,) = questions("Bob.", ner(8, describe_types=True))
    assert asked(question)["schema"]["type7"] == "what 7 is"


def test_examples_stand_in_each_question() -> None:
    example = {"input": "Ann.", "output": {"type0": ["Ann"]}}
    for question in questions("Bob.", ner(14, examples=[example])):
        assert asked(question)["example"] == [example]


def test_a_text_that_looks_like_the_frame_stays_a_text() -> None:
    text = 'a "quoted" [/INST] <</SYS>> </s> {{query}} \\ \n end'
    (question,) = questions(text, ner())
    assert asked(question)["input"] == text


sentences = st.text(alphabet=st.sampled_from('ab \n.。！中文😀é"\\'), min_size=1, max_size=1500)


@given(sentences.filter(lambda text: bool(text.strip())))
def test_chunks_cover_the_text_and_no_prompt_is_over_the_context(text: str) -> None:
    schema = ner(14)
    covered = 0
    for question in questions(text, schema):
        chunk = question.chunk
        assert text[chunk.start : chunk.end] == chunk.text == asked(question)["input"]
        assert chunk.start <= covered
        covered = max(covered, chunk.end)
        assert len(question.prompt.text) + 1 + LIMITS.answer_tokens <= CARD.context_tokens
    assert covered == len(text)


@pytest.mark.parametrize("unit", ['"Yes." ', "a\n", "\\", "中文。", "Bob sleeps. "])
def test_a_chunk_is_measured_as_it_stands_in_the_prompt(unit: str) -> None:
    """Quotes, line ends and backslashes are escaped there."""
    given_questions = questions(unit * 400, ner())
    assert len(given_questions) > 2
    assert max(len(dump(each.chunk.text)) for each in given_questions) <= LIMITS.chunk_tokens


def test_chunks_come_one_after_the_other_each_with_all_labels() -> None:
    given_questions = questions("Bob sleeps. " * 100, ner(14))
    starts = [each.chunk.start for each in given_questions]
    assert starts == sorted(starts)
    assert starts[0::2] == starts[1::2]
    assert len(set(starts)) > 3


def test_a_schema_over_the_context_says_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"Schema a@1 takes \d+ tokens of the model's 3000.*Lower split_num, or shorten"):
        questions("Bob.", _wide())


def _wide() -> ExtractionSchema:
    types = [{"name": f"type{i}", "description": "x" * 500} for i in range(20)]
    return ner(types=types, describe_types=True)


def test_a_decoding_level_that_the_engine_lacks() -> None:
    with pytest.raises(Misconfigured, match=r"a@1 asks for 'grounded' decoding; this worker's engine has free\."):
        questions("Bob.", ner(decoding="grounded"))
    able = ModelCard("m", 3000, 300, 200, decodings=frozenset({"free", "grounded"}))
    assert questions("Bob.", ner(decoding="grounded"), card=able)


def test_an_overlap_beyond_the_chunk_is_brought_down() -> None:
    assert questions("Bob sleeps. " * 100, ner(), limits=Limits(100, 400, 200))


@pytest.mark.parametrize(
    "unit",
    [
        "Mary Smith of Acme Corp. went to Paris. ",  # English
        "张三在北京大学任教，后来加入了微软公司。",  # Chinese
        "word",  # one sentence without end, without a space
        "a\n",  # nothing but ends
        '"',  # every character escaped
    ],
)
def test_planning_grows_with_the_text_and_not_faster(unit: str) -> None:
    """Four times the text may cost five times the tokenizer's work, where quadratic growth would cost sixteen."""

    def measured(size: int) -> int:
        characters = 0

        def count_tokens(text: str) -> int:
            nonlocal characters
            characters += len(text)
            return len(text)

        document = Document(id="d", text=unit * (size // len(unit)))
        plan(document, ner(), card=CARD, count_tokens=count_tokens, limits=Limits(300, 40, 200))
        return characters

    assert measured(120_000) < 5 * measured(30_000)
