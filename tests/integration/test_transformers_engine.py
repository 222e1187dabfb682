"""The Transformers engine on a real, tiny LLaMA: batches, limits, log-probabilities, and text that looks like marks."""

import io
import math
import os
import pickle
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import orjson
import pytest
import tiny_llama
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sluice_schemas.errors import BadInput, EngineDead, Misconfigured
from sluice_worker.engine.decoding import Answer
from sluice_worker.engine.encoder import Encoder
from sluice_worker.engine.intake import Prepared
from sluice_worker.engine.microbatch import Outcome
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.transformers_engine import TransformersEngine
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.prompt import Prompt, render
from sluice_worker.protocol.templates import Special
from sluice_worker.training.exercise import Exercise
from sluice_worker.training.lengths import Fitting, Lengths

TEXTS = [
    "Ann Lee founded Acme in Paris.",
    "张三在巴黎创立了极光公司，李四后来加入。" * 3,
    "😀 Bob.",
    "Mary Smith of the University of Leeds met Juan Pérez in Rome, and both left for Oslo on 3 May 1999. " * 2,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    made = TransformersEngine(folder, device="cpu", dtype="float32")
    yield made
    made.close()


def request(text: str, max_tokens: int = 12) -> Request:
    return Request(render(build("NER", "en", ["person", "place"], text)), max_tokens)


def answer(engine: TransformersEngine, asked: Request) -> Completion:
    return engine.submit(asked).result(timeout=60)


def ids_of(engine: TransformersEngine, prompt: Prompt) -> list[int]:
    return engine._intake.encoder.prompt(prompt)


def test_the_card_tells_the_models_own_advice(engine: TransformersEngine) -> None:
    card = engine.card
    assert card.name.startswith("model@")
    assert (card.context_tokens, card.chunk_tokens, card.answer_tokens) == (1024, 200, 24)


def together(engine: TransformersEngine, requests: Sequence[Request]) -> Sequence[Outcome]:
    """Outcomes of requests that run as one batch."""
    return engine._run([engine._intake.prepare(each) for each in requests])


def test_an_answer_is_the_same_alone_and_in_a_batch(engine: TransformersEngine) -> None:
    alone = [answer(engine, request(text)) for text in TEXTS]
    batched = together(engine, [request(text) for text in TEXTS])
    for one, other in zip(alone, batched, strict=True):
        assert isinstance(other, Completion)
        assert one.text == other.text
        assert [each.logprob for each in one.tokens] == pytest.approx([each.logprob for each in other.tokens], abs=1e-3)
    assert len({each.text for each in alone}) > 1


def test_each_request_of_a_batch_has_its_own_limit(engine: TransformersEngine) -> None:
    limits = [3, 17, 1, 8]
    outcomes = together(engine, [request(text, limit) for text, limit in zip(TEXTS, limits, strict=True)])
    completions = [each for each in outcomes if isinstance(each, Completion)]
    assert [each.completion_tokens for each in completions] == limits
    assert not any(each.is_whole for each in completions)
    assert answer(engine, request(TEXTS[0], 17)).text.startswith(completions[0].text)


class Counted:
    """A model that notes how many rows each of its passes had."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.rows: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, **given: Any) -> Any:
        self.rows.append(len(given["input_ids"]))
        return self.model(**given)


def test_what_has_ended_is_not_computed_any_more(engine: TransformersEngine) -> None:
    limits = [3, 3, 3, 3, 20, 6]
    expected = [answer(engine, request(TEXTS[i % 4], limit)).text for i, limit in enumerate(limits)]
    whole, engine._model = engine._model, Counted(engine._model)
    try:
        prepared = [engine._intake.prepare(request(TEXTS[i % 4], limit)) for i, limit in enumerate(limits)]
        outcomes = engine._run(prepared)
        rows = engine._model.rows
    finally:
        engine._model = whole
    assert [each.text for each in outcomes if isinstance(each, Completion)] == expected
    assert rows == [6] * 3 + [2] * 3 + [1] * 14


def test_log_probabilities_are_those_of_a_plain_forward_pass(engine: TransformersEngine, folder: Path) -> None:
    asked = request(TEXTS[0], 8)
    given = answer(engine, asked)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = ids_of(engine, asked.prompt)
    expected = []
    with torch.inference_mode():
        for _ in range(8):
            scores = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            ids.append(int(scores.argmax()))
            expected.append(float(scores.max()))
    assert [each.logprob for each in given.tokens] == pytest.approx(expected, abs=1e-3)
    assert given.text == AutoTokenizer.from_pretrained(folder).decode(ids[-8:])
    assert given.prompt_tokens == len(ids) - 8


def test_a_prompt_has_the_tokens_that_training_gave_it(engine: TransformersEngine, folder: Path) -> None:
    instruction = build("NER", "zh", ["人物"], TEXTS[1])
    fitting = Fitting(Encoder(AutoTokenizer.from_pretrained(folder)), Lengths())
    trained = fitting.fit(Exercise("NER", instruction, "{}"))
    assert trained is not None
    assert ids_of(engine, render(instruction)) == [*trained.tokens[: trained.answer_start]]


@pytest.fixture
def ending(folder: Path, engine: TransformersEngine, tmp_path: Path) -> Iterator[tuple[TransformersEngine, str]]:
    """The same model with another end token: one that it really gives; and what it says before."""
    copy = tmp_path / "ending"
    shutil.copytree(folder, copy)
    tokenizer = AutoTokenizer.from_pretrained(copy)
    ids = [tokenizer.encode(each.text, add_special_tokens=False) for each in answer(engine, request(TEXTS[0])).tokens]
    at = next(i for i in range(1, len(ids)) if len(ids[i]) == 1 and ids[i] not in ids[:i])
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ids[at][0])
    tokenizer.pad_token = None
    tokenizer.save_pretrained(copy)
    made = TransformersEngine(copy, device="cpu", dtype="float32")
    yield made, tokenizer.decode([each for part in ids[:at] for each in part])
    made.close()


def test_an_answer_that_the_model_ends_is_whole_and_without_the_end(ending: tuple[TransformersEngine, str]) -> None:
    engine, before = ending
    given = answer(engine, request(TEXTS[0]))
    assert (given.text, given.is_whole) == (before, True)
    first = together(engine, [request(TEXTS[0]), request(TEXTS[3], 20)])[0]
    assert isinstance(first, Completion)
    assert (first.text, first.is_whole) == (before, True)


def test_sampling_and_penalties_of_a_chat_model_have_no_say(folder: Path, engine: TransformersEngine) -> None:
    copy = folder.parent / "chat"
    shutil.copytree(folder, copy)
    settings = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 9.0, "no_repeat_ngram_size": 1}
    (copy / "generation_config.json").write_bytes(orjson.dumps(settings))
    chat = TransformersEngine(copy, device="cpu", dtype="float32")
    assert answer(chat, request(TEXTS[1])).text == answer(engine, request(TEXTS[1])).text
    chat.close()


def test_a_cancelled_request_stops_early(engine: TransformersEngine) -> None:
    asked = request(TEXTS[0], 600)
    future = engine.submit(asked)
    time.sleep(0.2)
    assert future.cancel()
    started = time.monotonic()
    assert answer(engine, request(TEXTS[1], 1)).completion_tokens == 1
    assert time.monotonic() - started < 2, "the next one waited for an answer that nobody wants"


def test_a_prompt_over_the_context_is_refused_and_nothing_else(engine: TransformersEngine) -> None:
    with pytest.raises(BadInput, match=r"prompt of \d+ tokens and an answer of up to 12 .* context of 1024\. Lower"):
        answer(engine, request("word " * 2000))
    asked = request("x", 1)
    room = engine.card.context_tokens - len(ids_of(engine, asked.prompt))
    with pytest.raises(BadInput):
        answer(engine, request("x", room + 1))
    assert answer(engine, asked).completion_tokens == 1


@pytest.mark.parametrize("mark", ["</s>", "<s>", "<pad>"])
def test_a_mark_in_the_text_does_not_become_the_mark(engine: TransformersEngine, mark: str) -> None:
    special = engine._intake.tokenizer.convert_tokens_to_ids(mark)
    ids = ids_of(engine, render(build("NER", "en", ["person"], f"Bob {mark} Ann")))
    assert special not in ids[1:]
    assert mark in engine._intake.tokenizer.decode(ids[1:])
    assert engine.count_tokens(mark) > 1
    assert ids_of(engine, Prompt((Special(mark), "x")))[1] == special


def test_text_comes_back_from_its_tokens_character_by_character(engine: TransformersEngine) -> None:
    text = '{"人物": ["张三😀", "👩‍👩‍👧 é \u0301 𠮷野家", "\\n"]}'
    ids = engine._intake.encoder.text(text)
    answered = Answer(ids, [-0.5] * len(ids))
    given = engine._completion(Prepared(Request(Prompt(("x",)), 500), [1]), answered, None)
    assert given.text == text == engine._intake.tokenizer.decode(ids)
    assert "".join(each.text for each in given.tokens) == text
    assert given.completion_tokens == len(ids)
    assert any(each.text == "" for each in given.tokens), "no character took more than one token"


def test_an_answer_that_ends_within_a_character_loses_only_that_one(engine: TransformersEngine) -> None:
    ids = engine._intake.encoder.text("张三😀")
    answered = Answer(ids[:-1], [-0.5] * (len(ids) - 1))
    given = engine._completion(Prepared(Request(Prompt(("x",)), 500), [1]), answered, None)
    assert given.text == "张三"


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8"])
def test_other_number_formats_are_refused(folder: Path, dtype: str) -> None:
    with pytest.raises(Misconfigured, match=f"dtype {dtype} is refused"):
        TransformersEngine(folder, device="cpu", dtype=dtype)


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(Misconfigured, match="only pickled weights"):
        TransformersEngine(tmp_path / "pickled", device="cpu")


class Bomb:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def armed(folder: Path, copy: Path, mark: Path, kind: str) -> Path:
    """A copy of a model of some kind with code and pickles beside it that make a folder when they run."""
    shutil.copytree(folder, copy)
    model = {"model_type": kind, "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    tokenizer = {"auto_map": {"AutoTokenizer": ["evil.Slow", "evil.Fast"]}}
    for name, changes in (("config.json", model), ("tokenizer_config.json", tokenizer)):
        (copy / name).write_bytes(orjson.dumps(orjson.loads((copy / name).read_bytes()) | changes))
    (copy / "evil.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    for name in ("pytorch_model.bin", "training_args.bin"):
        (copy / name).write_bytes(pickle.dumps(Bomb(mark)))
    return copy


def test_nothing_in_a_model_folder_is_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    engine = TransformersEngine(armed(folder, tmp_path / "known", mark, "llama"), device="cpu", dtype="float32")
    assert answer(engine, request("x", 1)).completion_tokens == 1
    engine.close()
    # Somebody would say yes to whatever is asked.
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 20))
    with pytest.raises(Misconfigured, match="does not load"):
        TransformersEngine(armed(folder, tmp_path / "unknown", mark, "evil"), device="cpu", dtype="float32")
    assert not mark.exists()


def test_a_chat_template_in_the_folder_has_no_say(folder: Path, tmp_path: Path, engine: TransformersEngine) -> None:
    shutil.copytree(folder, tmp_path / "chat")
    (tmp_path / "chat" / "chat_template.jinja").write_text("{{ raise_exception('it was asked') }}")
    chat = TransformersEngine(tmp_path / "chat", device="cpu", dtype="float32")
    assert chat._intake.tokenizer.chat_template, "it is there"
    assert answer(chat, request(TEXTS[1])).text == answer(engine, request(TEXTS[1])).text
    chat.close()


def test_weights_cut_off_in_a_copy_are_told(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(Misconfigured, match=r"does not load: .*Copy it again\."):
        TransformersEngine(tmp_path / "cut", device="cpu")


def test_a_tokenizer_without_an_end_token_is_told(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "endless")
    config = tmp_path / "endless" / "tokenizer_config.json"
    settings = orjson.loads(config.read_bytes()) | {"eos_token": None}
    config.write_bytes(orjson.dumps(settings))
    with pytest.raises(Misconfigured, match="has no end token"):
        TransformersEngine(tmp_path / "endless", device="cpu")


def test_bfloat16_answers_too(folder: Path) -> None:
    engine = TransformersEngine(folder, device="cpu")
    given = answer(engine, request(TEXTS[1]))
    engine.close()
    assert given.completion_tokens == 12
    assert all(each.logprob <= 0 and math.isfinite(each.logprob) for each in given.tokens)


def test_closing_ends_what_runs_and_fails_what_waits(folder: Path) -> None:
    engine = TransformersEngine(folder, device="cpu", batch_tokens=256)
    futures = [engine.submit(request(text, 60)) for text in TEXTS * 3]
    time.sleep(0.05)
    engine.close()
    wait(futures, timeout=30)
    errors = [future.exception() for future in futures]
    assert isinstance(errors[-1], EngineDead)
    assert all(error is None or isinstance(error, EngineDead) for error in errors)
    with pytest.raises(EngineDead):
        answer(engine, request("x", 1))


def test_sixteen_threads_each_get_the_answer_to_their_own_text(engine: TransformersEngine) -> None:
    texts = [f"{name} met Bob {i} times." for i, name in enumerate(["Ann", "张三", "Zoë", "😀"] * 4)]
    expected = {text: answer(engine, request(text, 4)).text for text in texts}
    faults: list[str] = []

    def ask(text: str) -> None:
        for _ in range(3):
            if answer(engine, request(text, 4)).text != expected[text] or engine.count_tokens(text) < 5:
                faults.append(text)

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert faults == []
