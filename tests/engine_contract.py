"""What every engine keeps to. A test module per engine gives the fixtures `engine`, `folder` and `adapters`."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path

import psutil
import pytest

from sluice_schemas.errors import BadInput, EngineDead, Misconfigured
from sluice_worker.engine.request import Completion, Engine, Request
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.prompt import render
from sluice_worker.protocol.records import EntityRecord

TYPES = ["person", "place"]
TEXTS = [
    "Ann Lee founded Acme in Paris.",
    "张三在巴黎创立了极光公司，李四后来加入。" * 3,
    "😀 Bob met Zoë O'Neil; é \u0301 𠮷野家 and </s> [/INST].",
    "Mary Smith of the University of Leeds met Juan Pérez in Rome, and both left for Oslo on 3 May 1999. " * 2,
]
MANY = 1000
WAIT_S = 240.0


def asked(text: str, max_tokens: int = 12, *, adapter: str | None = None) -> Request:
    return Request(render(build("NER", "en", TYPES, text)), max_tokens, adapter=adapter)


def held(text: str, max_tokens: int = 60, *, is_distinct: bool = True) -> Request:
    wanted = grammar("NER", TYPES, text, level="grounded")
    return Request(render(build("NER", "en", TYPES, text)), max_tokens, wanted, is_distinct)


def answers(futures: Sequence["Future[Completion]"]) -> list[Completion]:
    assert not wait(futures, timeout=WAIT_S).not_done
    return [each.result() for each in futures]


def answer(engine: Engine, request: Request) -> Completion:
    return engine.submit(request).result(timeout=WAIT_S)


class EngineContract:
    """`engine` holds two adapters at most; `adapters` are three folders of some that change what the model says."""

    def test_each_answer_goes_to_its_own_request(self, engine: Engine) -> None:
        texts = [f"{text} Number {n}." for n, text in enumerate(TEXTS * 4)]
        alone = [answer(engine, asked(text)) for text in texts]
        together = answers([engine.submit(asked(text)) for text in texts])
        same = sum(one.text == other.text for one, other in zip(alone, together, strict=True))
        assert same >= len(texts) - 2, "a batch may turn a near tie (bfloat16), not more"
        assert len({each.text for each in alone}) > 1
        for one, other in zip(alone, together, strict=True):
            assert one.prompt_tokens == other.prompt_tokens

    def test_a_completion_tells_its_tokens(self, engine: Engine) -> None:
        given = answer(engine, asked(TEXTS[0], 9))
        assert given.completion_tokens <= 9
        assert "".join(each.text for each in given.tokens) == given.text
        assert all(each.logprob <= 0 for each in given.tokens)
        assert given.is_whole or given.completion_tokens == 9
        assert engine.count_tokens(TEXTS[0]) <= given.prompt_tokens

    def test_an_answer_may_be_empty(self, engine: Engine) -> None:
        """Held to a grammar that leaves nothing but the end."""
        given = answer(engine, Request(asked(TEXTS[0]).prompt, 5, 'start: ""'))
        assert (given.text, given.tokens, given.is_whole) == ("", (), True)

    def test_any_text_goes_in_and_comes_back_whole(self, engine: Engine) -> None:
        for text in TEXTS:
            given = answer(engine, held(text))
            assert "\ufffd" not in given.text
            if given.is_whole:
                parsed = parse_strict("NER", given.text)
                assert parsed.ok
                assert all(isinstance(each, EntityRecord) and each.text in text for each in parsed.records)

    def test_a_prompt_over_the_context_fails_alone(self, engine: Engine) -> None:
        sound, over = engine.submit(asked(TEXTS[0])), engine.submit(asked("word " * 20_000))
        with pytest.raises(BadInput, match=r"do not fit the model's context"):
            over.result(timeout=WAIT_S)
        assert sound.result(timeout=WAIT_S).prompt_tokens > 0

    def test_a_grammar_that_does_not_compile_fails_alone(self, engine: Engine) -> None:
        bad = Request(asked(TEXTS[0]).prompt, 4, "start: %regx")
        sound, fails = engine.submit(held(TEXTS[0])), engine.submit(bad)
        with pytest.raises(BadInput, match="does not compile"):
            fails.result(timeout=WAIT_S)
        assert sound.result(timeout=WAIT_S).text.lstrip().startswith("{")

    def test_cancelling_frees_the_engine(self, engine: Engine) -> None:
        long = [engine.submit(asked(text, 700)) for text in TEXTS * 8]
        time.sleep(0.3)
        cancelled = [each for each in long if each.cancel()]
        assert all(each.done() for each in long)
        started = time.monotonic()
        assert answer(engine, asked(TEXTS[0], 1)).completion_tokens <= 1
        assert time.monotonic() - started < 20
        for each in cancelled:
            with pytest.raises(CancelledError):
                each.result(timeout=0)

    def test_a_thousand_at_once(self, engine: Engine) -> None:
        futures: list[Future[Completion]] = []
        lock = threading.Lock()

        def hand_in(first: int) -> None:
            for n in range(first, MANY, 8):
                future = engine.submit(asked(f"Ann met Bob {n} times.", 2))
                with lock:
                    futures.append(future)

        threads = [threading.Thread(target=hand_in, args=(first,)) for first in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(answers(futures)) == MANY

    def test_adapters_come_and_go_within_one_batch(self, engine: Engine, adapters: tuple[Path, ...]) -> None:
        first, second = (engine.load_adapter(each) for each in adapters[:2])
        assert first != second
        assert engine.load_adapter(adapters[0]) == first
        mixed = [None, first, second] * 4
        given = answers([engine.submit(asked(TEXTS[0], 16, adapter=name)) for name in mixed])
        said = [each.text for each in given]
        assert len({*said}) == 3, "base and two adapters say three different things"
        assert all(said[n] == said[n % 3] for n in range(len(said)))
        running = engine.submit(asked(TEXTS[0], 300, adapter=second))
        engine.drop_adapter(second)
        with pytest.raises(BadInput, match="not loaded"):
            answer(engine, asked(TEXTS[0], adapter=second))
        assert running.result(timeout=WAIT_S).text.startswith(said[2][:4]), "what ran on it may finish"
        assert answer(engine, asked(TEXTS[0], 16, adapter=first)).text == said[1]
        engine.drop_adapter(first)
        assert answer(engine, asked(TEXTS[0], 16)).text == said[0]
        assert engine.load_adapter(adapters[1]) == second
        assert answer(engine, asked(TEXTS[0], 16, adapter=second)).text == said[2]
        engine.drop_adapter(second)

    def test_an_adapter_over_the_limit_is_refused(self, engine: Engine, adapters: tuple[Path, ...]) -> None:
        """Two fit here. Nothing that is served is pushed out for another."""
        held = [engine.load_adapter(each) for each in adapters[:2]]
        with pytest.raises(Misconfigured, match="raise SLUICE_MAX_ADAPTERS"):
            engine.load_adapter(adapters[2])
        for name in held:
            assert answer(engine, asked(TEXTS[0], 4, adapter=name)).completion_tokens == 4
            engine.drop_adapter(name)

    def test_an_adapter_that_cannot_be_served_is_told(
        self, engine: Engine, adapters: tuple[Path, ...], tmp_path: Path
    ) -> None:
        with pytest.raises(Misconfigured, match="is no adapter"):
            engine.load_adapter(tmp_path)
        with pytest.raises(BadInput, match="not loaded"):
            answer(engine, asked(TEXTS[0], adapter="0123456789"))


class EngineEndsContract:
    """How an engine ends. `make` gives a new one for each test."""

    def test_closing_leaves_nobody_waiting(self, make: Callable[[], Engine]) -> None:
        engine = make()
        futures = [engine.submit(asked(text, 600)) for text in TEXTS * 8]
        time.sleep(0.2)
        engine.close()
        assert not wait(futures, timeout=60).not_done
        failures = [each.exception() for each in futures]
        assert all(failure is None or isinstance(failure, EngineDead) for failure in failures)
        with pytest.raises(EngineDead):
            answer(engine, asked("x", 1))
        engine.close()


WARM = 12_000
"""Requests after which caches of compiled shapes and the allocator's free lists have their size."""


def grows(engine: Engine, *, requests: int, processes: Callable[[], Sequence[psutil.Process]]) -> float:
    """How much more memory the processes hold over the second half of the requests than over the first, as a share."""

    def serve(count: int, mark: str) -> float:
        sizes = []
        for first in range(0, count, 500):
            texts = (f"Ann Lee met Bob {mark}-{first + n} times in Paris." for n in range(500))
            answers([engine.submit(asked(text, 1)) for text in texts])
            sizes.append(sum(each.memory_info().rss for each in processes()))
        return sum(sizes) / len(sizes)

    serve(WARM, "warm")
    before, after = (serve(requests // 2, mark) for mark in ("first", "second"))
    return after / before - 1
