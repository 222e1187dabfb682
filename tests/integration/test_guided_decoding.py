"""Answers held to their grammars by the Transformers engine, on a real LLaMA that has learnt nothing."""

from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, get_args

import pytest
import tiny_llama
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Decoding, ExtractionSchema, Task
from sluice_worker.engine.guide import Grammars, Guide, Masks, Walk
from sluice_worker.engine.intake import Prepared
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.transformers_engine import TransformersEngine
from sluice_worker.plan import Limits, plan
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.records import ABSENT, values_of

TASKS = get_args(Task)
TEXTS = ['Ann "A." Lee met\nBob.', "张三在巴黎 </s> 👩‍👩‍👧。"]
BYTES = LLTokenizer("byte")
END = BYTES.eos_token


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.make(tmp_path_factory.mktemp("guided"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    made = TransformersEngine(folder, device="cpu", dtype="float32")
    yield made
    made.close()


def asked(engine: TransformersEngine, task: Task, text: str, level: Decoding, max_tokens: int = 40) -> Request:
    """The one request that a document takes."""
    parts: dict[str, Any] = {}
    match task:
        case "SPO":
            parts = {"subject_type": "p", "object_type": "q"}
        case "EE" | "EEA":
            parts = {"roles": [{"name": "who"}]}
        case "KG":
            parts = {"attributes": [{"name": "at"}]}
    fields = {"id": "a", "version": 1, "task": task, "language": "en", "decoding": level}
    schema = ExtractionSchema.of({**fields, "types": [{"name": "per", **parts}]})
    limits = Limits(chunk_tokens=150, overlap_tokens=0, answer_tokens=max_tokens)
    document = Document(id="d", text=text)
    (question,) = plan(document, schema, card=engine.card, count_tokens=engine.count_tokens, limits=limits)
    return Request(question.prompt, max_tokens, question.grammar)


def answers(futures: list["Future[Completion]"]) -> list[Completion]:
    wait(futures, timeout=100)
    return [future.result(timeout=0) for future in futures]


def alone(engine: TransformersEngine, request: Request) -> Completion:
    return engine.submit(request).result(timeout=60)


@pytest.mark.parametrize("level", ["json", "grounded"])
def test_an_answer_is_whole_and_parses_or_it_was_cut(engine: TransformersEngine, level: Decoding) -> None:
    cases = [(task, text) for task in TASKS for text in TEXTS]
    requests = [asked(engine, task, text, level) for task, text in cases]
    given = answers([engine.submit(each) for each in requests])
    for (task, text), request, answer in zip(cases, requests, given, strict=True):
        if answer.is_whole:
            parsed = parse_strict(task, answer.text)
            assert parsed.ok
            assert parsed.skipped == ()
            values = [value for record in parsed.records for value in values_of(record)]
            assert level == "json" or all(value in text or value == ABSENT for value in values)
        else:
            assert answer.completion_tokens == request.max_tokens
            held = LLMatcher(BYTES, LLMatcher.grammar_from_lark(request.grammar))
            written = [*answer.text.encode()]
            assert held.try_consume_tokens(written) == len(written), "a beginning of what the grammar has"
    assert any(each.is_whole for each in given)
    assert not all(each.is_whole for each in given)


def test_free_and_guided_requests_in_one_batch_get_what_they_get_alone(engine: TransformersEngine) -> None:
    levels: list[Decoding] = ["free", "json", "grounded", "free", "grounded"]
    requests = [
        asked(engine, task, TEXTS[i % 2], level, max_tokens=5 + 6 * i)
        for i, (task, level) in enumerate(zip(TASKS, levels, strict=False))
    ]
    together = engine._run([engine._intake.prepare(each) for each in requests])
    for request, answer in zip(requests, together, strict=True):
        assert isinstance(answer, Completion)
        expected = alone(engine, request)
        assert (answer.text, answer.is_whole) == (expected.text, expected.is_whole)
        logprobs = [each.logprob for each in answer.tokens]
        assert logprobs == pytest.approx([each.logprob for each in expected.tokens], abs=1e-3)


def test_a_grammar_that_does_not_compile_fails_its_own_request_and_quotes_no_text(engine: TransformersEngine) -> None:
    good = asked(engine, "NER", TEXTS[0], "grounded", max_tokens=4)
    assert good.grammar is not None
    bad = Request(good.prompt, 4, good.grammar.replace("%regex", "%regx"))
    before, failed, after = (engine.submit(each) for each in (good, bad, good))
    with pytest.raises(BadInput, match=r"does not compile: .*lexer error.*`decoding: free`") as caught:
        failed.result(timeout=60)
    assert "Lee" not in str(caught.value)
    assert before.result(timeout=60).text == after.result(timeout=60).text != ""


@pytest.mark.parametrize(("task", "level"), [("NER", "grounded"), ("EE", "json")])
def test_log_probabilities_are_those_before_masking(
    engine: TransformersEngine, folder: Path, task: Task, level: Decoding
) -> None:
    """Against a plain loop of whole forward passes, with the mask made by other means."""
    request = asked(engine, task, TEXTS[0], level, max_tokens=10)
    ids = [*engine._intake.prepare(request).ids]
    prompt_tokens = len(ids)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    held = Grammars(engine._intake.tokenizer, vocabulary=model.config.vocab_size).compile(request.grammar)
    assert held is not None
    logprobs: list[float] = []
    wished: list[int] = []
    with torch.inference_mode():
        while len(logprobs) < 10 and not held.is_accepting():
            scores = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            bits = held.compute_bitmask()
            allowed = [each for each in range(len(scores)) if bits[each // 8] >> (each % 8) & 1]
            ids.append(max(allowed, key=lambda each: float(scores[each])))
            assert held.consume_token(ids[-1])
            logprobs.append(float(scores[ids[-1]]))
            wished.append(int(scores.argmax()))
    given = alone(engine, request)
    assert [each.logprob for each in given.tokens] == pytest.approx(logprobs, abs=1e-3)
    assert given.text == engine._intake.tokenizer.decode(ids[prompt_tokens:])
    assert wished != ids[prompt_tokens:], "nothing was masked"


class Flaky:
    """A model that fails after its work whenever it worked for more than one."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, **given: Any) -> Any:
        output = self.model(**given)
        if len(output.logits) > 1:
            self.failures += 1
            raise RuntimeError("a batch failed")
        return output


def test_a_batch_that_is_run_again_one_by_one_still_obeys(engine: TransformersEngine) -> None:
    requests = [asked(engine, "NER", text, "grounded", max_tokens=12) for text in (*TEXTS, *TEXTS)]
    expected = [alone(engine, each).text for each in requests]
    whole, engine._model = engine._model, Flaky(engine._model)
    try:
        given = answers([engine.submit(each) for each in requests])
        failures = engine._model.failures
    finally:
        engine._model = whole
    assert [each.text for each in given] == expected
    assert failures > 0, "no batch failed"


def test_a_prepared_request_can_run_twice(engine: TransformersEngine) -> None:
    prepared: list[Prepared] = [engine._intake.prepare(asked(engine, "RE", TEXTS[1], "json", max_tokens=12))]
    assert engine._run(prepared) == engine._run(prepared)


SHORT = grammar("NER", ["a"], "Ann", level="grounded")


MASKS = Masks(vocabulary=BYTES.vocab_size)


def bytewise(limits: LLParserLimits | None = None) -> LLMatcher:
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_lark(SHORT), log_level=0, limits=limits or LLParserLimits())
    assert not matcher.is_error()
    return matcher


def taken(guide: Guide, wishes: list[bytes]) -> list[list[int]]:
    """The tokens that a model takes who wishes for these bytes, row by row, and for anything but the end after them."""
    steps = max(map(len, wishes))
    ids: list[list[int]] = [[] for _ in wishes]
    for step in range(steps):
        scores = torch.zeros(len(wishes), BYTES.vocab_size)
        scores[:, END] = -5
        for row, wish in enumerate(wishes):
            if step < len(wish):
                scores[row, wish[step]] = 9
        for given, token in zip(ids, guide.take(scores)[0].tolist(), strict=True):
            given.append(token)
    return ids


def test_behind_the_answer_stands_the_end_and_nothing_else() -> None:
    """A model that would go on for ever."""
    answer = b'{"a": ["Ann"]}'
    walks = [Walk(bytewise(), None), None, Walk(bytewise(), None)]
    guide = Guide(walks, MASKS)
    first, free, other = taken(guide, [answer + b" and so on", answer + b" and so on", b'{"a": []}' + b"x" * 9])
    assert bytes(first[: len(answer)]) == answer
    assert set(first[len(answer) :]) == {END}
    assert bytes(free) == answer + b" and so on"
    assert other[9:12] == [END] * 3
    assert not any(walk.is_outgrown for walk in walks if walk)


def test_a_row_that_is_cut_and_padded_has_not_outgrown_its_grammar() -> None:
    walk = Walk(bytewise(), None)
    guide = Guide([walk], MASKS)
    guide.take(torch.zeros(1, BYTES.vocab_size))
    walk.take(END)  # what a row gets that has ended, until it leaves the batch
    assert not walk.is_outgrown


def test_a_grammar_that_meets_the_parsers_limits_ends_its_answer_and_says_so() -> None:
    walks = [Walk(bytewise(LLParserLimits(step_lexer_fuel=5)), None), Walk(bytewise(), None)]
    guide = Guide(walks, MASKS)
    outgrown, sound = taken(guide, [b'{"a": ["Ann"]}'] * 2)
    assert END in outgrown
    assert bytes(sound) == b'{"a": ["Ann"]}'
    assert [walk.is_outgrown for walk in walks] == [True, False]


def test_an_answer_that_training_of_llamas_kind_teaches_can_be_given() -> None:
    """Such tokenizers begin every text with a space: `▁{"` is the first token that OneKE learnt to answer with."""
    answer = '{"per": ["Ann"], "loc": []}'
    built = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    built.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    built.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    marks = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=marks, show_progress=False)
    built.train_from_iterator([answer] * 9, trainer=trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=built, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    ids = built.encode(answer).ids
    assert tokenizer.convert_ids_to_tokens(ids)[0].startswith("▁{")
    held = Grammars(tokenizer, vocabulary=len(tokenizer)).compile(
        grammar("NER", ["per", "loc"], "Ann", level="grounded")
    )
    assert held is not None
    assert held.try_consume_tokens(ids) == len(ids)
    assert held.is_accepting()
    assert built.decode(ids) == answer
