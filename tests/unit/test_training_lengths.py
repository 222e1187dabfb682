"""What is too long for a training: the template and the answer stay whole, and nothing is left out in silence."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.encoder import Encoder
from sluice_worker.engine.model_folder import SHIPPED
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.prompt import render
from sluice_worker.training.exercise import Exercise
from sluice_worker.training.lengths import Fitting, Lengths
from sluice_worker.training.sequence import IGNORED, Sequence

TOKENIZER = AutoTokenizer.from_pretrained(SHIPPED / "sluice-tiny")
ENCODER = Encoder(TOKENIZER)
SENTENCES = ["Anna works in Oslo.", "It rains.", "Nobody came to see the boats.", "Bruno left for Lima."]


def exercise(text: str, answer: str = '{"person": ["Anna"]}') -> Exercise:
    return Exercise("NER", build("NER", "en", ["person"], text), answer)


def fitting(sequence: int, answer: int = 25) -> Fitting:
    return Fitting(ENCODER, Lengths(sequence=sequence, answer=answer))


def prompt_of(sequence: Sequence) -> str:
    return str(TOKENIZER.decode(sequence.tokens[1 : sequence.answer_start]))


def text_of(sequence: Sequence) -> str:
    """The input that the sequence asks about; fails where the prompt is not whole."""
    start, end = render("|").text.split("|")
    prompt = prompt_of(sequence)
    assert prompt.startswith(start)
    assert prompt.endswith(end)
    return str(orjson.loads(prompt.removeprefix(start).removesuffix(end))["input"])


def test_only_the_answer_and_its_end_count_in_the_loss() -> None:
    sequence = fitting(700).fit(exercise(SENTENCES[0]))
    assert sequence is not None
    assert len(sequence.labels) == len(sequence.tokens)
    unmasked = [label for label in sequence.labels if label != IGNORED]
    assert TOKENIZER.decode(unmasked) == '{"person": ["Anna"]}</s>'
    assert sequence.labels[: sequence.answer_start] == (IGNORED,) * sequence.answer_start
    assert sequence.tokens[0] == TOKENIZER.bos_token_id


def test_a_long_text_loses_whole_sentences_from_its_end() -> None:
    most = len(fitting(700).fit(exercise(" ".join(SENTENCES[:2]))) or ())
    fitted = fitting(most)
    sequence = fitted.fit(exercise(" ".join(SENTENCES)))
    assert sequence is not None
    assert text_of(sequence) == " ".join(SENTENCES[:2])
    assert (fitted.tally.kept, fitted.tally.shortened, fitted.tally.dropped.total()) == (1, 1, 0)


def test_a_text_is_not_shortened_past_what_its_answer_names() -> None:
    most = len(fitting(700).fit(exercise(" ".join(SENTENCES[:2]))) or ())
    fitted = fitting(most + 8)
    assert fitted.fit(exercise(" ".join(SENTENCES), '{"person": ["Anna", "Bruno"]}')) is None
    assert fitted.tally.dropped == {"text too long for its answer": 1}


@pytest.mark.parametrize(
    ("given_exercise", "reason"),
    [
        (exercise("Anna.", '{"person": ["' + "Anna Anna " * 30 + '"]}'), "answer too long"),
        (exercise("word " * 200), "text too long"),  # not even the first sentence fits
        (Exercise("NER", "", "{}"), "no instruction or no answer"),  # dropped by the original too
        (Exercise("NER", build("NER", "en", [], ""), ""), "no instruction or no answer"),
    ],
)
def test_what_cannot_fit_is_left_out_and_counted(given_exercise: Exercise, reason: str) -> None:
    fitted = fitting(150)
    assert fitted.fit(given_exercise) is None
    assert fitted.tally.dropped == {reason: 1}
    assert fitted.tally.report().endswith(f"1 left out (1 {reason}).")


@pytest.mark.parametrize("answer", [0, 700, 800])
def test_impossible_lengths_are_refused(answer: int) -> None:
    with pytest.raises(Misconfigured, match="longer than the answer"):
        Lengths(sequence=700, answer=answer)


@given(st.lists(st.sampled_from(SENTENCES), max_size=12), st.integers(60, 300))
def test_what_fits_is_whole(sentences: list[str], most: int) -> None:
    fitted = fitting(most)
    text = " ".join(sentences)
    sequence = fitted.fit(exercise(text, '{"person": []}'))
    assert fitted.tally.kept + fitted.tally.dropped.total() == 1
    if sequence is not None:
        assert len(sequence) <= most
        assert text.startswith(text_of(sequence))
        assert TOKENIZER.decode(sequence.tokens[sequence.answer_start :]) == '{"person": []}</s>'


def test_an_end_mark_in_a_text_is_plain_text() -> None:
    """Whoever writes `</s>` into a document must not end the prompt there."""
    sequence = fitting(700).fit(exercise("Anna wrote </s> and <s>."))
    assert sequence is not None
    assert sequence.tokens.count(TOKENIZER.eos_token_id) == 1
    assert sequence.tokens.count(TOKENIZER.bos_token_id) == 1
    assert text_of(sequence) == "Anna wrote </s> and <s>."


def test_a_prompt_form_of_another_model_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"no token <\|im_start\|>"):
        ENCODER.prompt(render("x", form="qwen"))
