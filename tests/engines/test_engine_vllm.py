"""The vLLM engine keeps to the contract of engines, agrees with Transformers, and dies in the open."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path

import psutil
import pytest
from engine_contract import TEXTS, EngineContract, EngineEndsContract, answer, answers, asked, grows, held

from sluice_schemas.errors import EngineDead, Misconfigured
from sluice_worker.engine.request import Engine
from sluice_worker.engine.transformers_engine import TransformersEngine
from sluice_worker.engine.vllm_engine import VllmEngine
from sluice_worker.engine.vllm_start import Options

pytestmark = pytest.mark.timeout(600)

SMALL = Options(dtype="float32", cache_bytes=256 << 20, max_adapters=2, adapter_rank=16)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[VllmEngine]:
    made = VllmEngine(folder, SMALL)
    yield made
    made.close()


@pytest.fixture
def make(folder: Path) -> Callable[[], Engine]:
    return lambda: VllmEngine(folder, SMALL)


def processes() -> list[psutil.Process]:
    """This one and vLLM's."""
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def cores() -> list[psutil.Process]:
    return [each for each in processes() if "EngineCore" in " ".join(each.cmdline()) or "EngineCore" in each.name()]


class TestVllmEngine(EngineContract):
    pass


def test_it_says_what_transformers_says_and_is_as_sure_of_it(engine: VllmEngine, folder: Path) -> None:
    """Free and held, in float32: log-probabilities are those of the model itself, before any mask."""
    other = TransformersEngine(folder, device="cpu", dtype="float32")
    requests = [make(text) for text in TEXTS for make in (asked, held, lambda text: held(text, is_distinct=False))]
    ours, theirs = (answers([each.submit(request) for request in requests]) for each in (engine, other))
    other.close()
    for one, two in zip(ours, theirs, strict=True):
        assert (one.text, one.is_whole, one.prompt_tokens) == (two.text, two.is_whole, two.prompt_tokens)
        assert [each.text for each in one.tokens] == [each.text for each in two.tokens]
        assert [each.logprob for each in one.tokens] == pytest.approx([each.logprob for each in two.tokens], abs=2e-3)
    removed = [each.logprob for each in ours[1].tokens]
    assert min(removed) < -2, "nothing was masked"


def test_a_prompt_that_came_before_is_not_read_again(engine: VllmEngine) -> None:
    text = "Ann Lee met Bob in Paris. " * 30
    first, second = (answer(engine, asked(text, 1)) for _ in range(2))
    assert first.cached_tokens < 128 <= second.cached_tokens <= second.prompt_tokens


def test_what_does_not_fit_the_budget_waits_and_is_answered(folder: Path) -> None:
    engine = VllmEngine(folder, Options(cache_bytes=64 << 20, admitted_tokens=400, max_adapters=0))
    futures = [engine.submit(asked(f"{text} {n}", 20)) for n in range(6) for text in TEXTS]
    started = time.monotonic()
    assert futures[-1].cancel()
    assert len(answers(futures[:-1])) == 23
    assert time.monotonic() - started < 60
    engine.close()


def test_speculation_is_held_to_the_same_grammars(folder: Path) -> None:
    engine = VllmEngine(folder, Options(dtype="float32", cache_bytes=64 << 20, speculation="ngram", max_adapters=0))
    plain = TransformersEngine(folder, device="cpu", dtype="float32")
    requests = [held(text, is_distinct=False) for text in TEXTS]
    one, two = (answers([each.submit(request) for request in requests]) for each in (engine, plain))
    assert [each.text for each in one] == [each.text for each in two]
    engine.close()
    plain.close()


def test_eight_bits(folder: Path) -> None:
    engine = VllmEngine(folder, Options(quantization="int8", cache_bytes=64 << 20, max_adapters=0))
    assert answer(engine, asked(TEXTS[0], 5)).completion_tokens == 5
    engine.close()


def test_a_dead_engine_process_fails_everything_at_once_and_for_good(folder: Path) -> None:
    engine = VllmEngine(folder, SMALL)
    futures = [engine.submit(asked(text, 600)) for text in TEXTS * 4]
    time.sleep(0.5)
    newest = max(cores(), key=lambda each: each.create_time())
    newest.send_signal(signal.SIGKILL)
    assert not wait(futures, timeout=20).not_done
    assert {type(each.exception()) for each in futures} == {EngineDead}
    with pytest.raises(EngineDead):
        answer(engine, asked(TEXTS[0]))
    engine.close()


class TestVllmEngineEnds(EngineEndsContract):
    pass


def test_a_model_that_vllm_cannot_start_is_told(folder: Path) -> None:
    with pytest.raises(Misconfigured, match="vLLM does not start"):
        VllmEngine(folder, Options(cache_bytes=1 << 20, max_adapters=0))
    with pytest.raises(Misconfigured, match="float16 is refused"):
        VllmEngine(folder, Options(dtype="float16"))


def test_twenty_thousand_requests_leave_no_memory_behind(engine: VllmEngine) -> None:
    assert grows(engine, requests=20_000, processes=processes) <= 0.03
