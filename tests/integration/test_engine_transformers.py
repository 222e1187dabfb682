"""The Transformers engine keeps to the contract of engines, in bfloat16 and in 4 bits, and does not grow."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import tiny_adapters
import tiny_llama
from engine_contract import TEXTS, EngineContract, EngineEndsContract, answer, asked, grows

from sluice_worker.engine.request import Engine
from sluice_worker.engine.transformers_engine import TransformersEngine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def adapters(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    made = tmp_path_factory.mktemp("adapters")
    return tuple(tiny_adapters.make(folder, made / str(seed), seed=seed) for seed in (1, 2, 3))


@pytest.fixture(scope="module", params=["none", "nf4"])
def engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    made = TransformersEngine(folder, device="cpu", quantization=request.param, max_adapters=2)
    yield made
    made.close()


@pytest.fixture
def make(folder: Path) -> Callable[[], Engine]:
    return functools.partial(TransformersEngine, folder, device="cpu", batch_tokens=1024)


class TestTransformersEngine(EngineContract):
    pass


class TestTransformersEngineEnds(EngineEndsContract):
    pass


def test_four_bits_take_less_memory_and_say_something_like_it(folder: Path) -> None:
    whole, quantised = (TransformersEngine(folder, device="cpu", quantization=each) for each in ("none", "nf4"))
    sizes = [each._model.get_memory_footprint() for each in (whole, quantised)]
    assert sizes[1] < 0.8 * sizes[0]
    given = [answer(each, asked(TEXTS[0], 8)) for each in (whole, quantised)]
    assert abs(given[0].tokens[0].logprob - given[1].tokens[0].logprob) < 1.0
    for each in (whole, quantised):
        each.close()


@pytest.mark.timeout(900)
def test_twenty_thousand_requests_leave_no_memory_behind(folder: Path) -> None:
    # torch keeps something for each shape of a batch: with at most thirty rows it has soon seen them all.
    engine = TransformersEngine(folder, device="cpu", batch_tokens=1024)
    assert grows(engine, requests=20_000, processes=lambda: [psutil.Process()]) <= 0.03
    engine.close()
