"""What is measured: the prompts of the workload, and how passes become figures."""

import pytest
from bench import workload
from bench.roofline import Ceilings
from bench.shape import SMALL
from bench.throughput import Pass, at_once
from gpu import table
from gpu.figures import figures, standing

from sluice_worker.engine.request import Request
from sluice_worker.engine.scripted import ScriptedEngine


def asked(count: int, *, mark: int, max_tokens: int = 9) -> list[list[Request]]:
    engine = ScriptedEngine(lambda _: "")
    return workload.requests(
        workload.documents(count, mark=mark), card=engine.card, count_tokens=len, max_tokens=max_tokens
    )


def test_each_document_is_asked_in_its_own_words() -> None:
    given = workload.documents(60, mark=3)
    found = asked(60, mark=3)
    assert len({document.text for document, _ in given}) == 60
    assert {ref for _, ref in given} >= {"news/entities-en@1", "news/entities-zh@1", "news/relations-en@1"}
    for (document, _), requests in zip(given, found, strict=True):
        assert 1 <= len(requests) <= 2
        assert all(document.text.split()[-1].strip('"')[:5] in each.prompt.text for each in requests)
        assert {each.max_tokens for each in requests} == {9}


def test_no_two_passes_ask_the_same_but_schemas_share_how_they_begin() -> None:
    first, second = ([each.prompt.text for found in asked(44, mark=mark) for each in found] for mark in (1, 2))
    assert not set(first) & set(second)
    assert first[0].partition("1.0 ")[0] == second[0].partition("2.0 ")[0] == first[1].partition("1.1 ")[0]


def test_a_pass_counts_what_went_through_the_engine() -> None:
    engine = ScriptedEngine(lambda _: "x" * 50)
    documents = asked(44, mark=1)
    found = at_once(engine, documents)
    assert found.documents == 44 < found.requests == sum(map(len, documents))
    ahead, *counted = engine.prompts
    assert ahead == counted[0]
    assert found.prompt_tokens == sum(map(len, counted))
    assert found.completion_tokens == 9 * found.requests
    assert found.documents_per_s == 44 / found.seconds > 0


def made(prefill_s: float, whole_s: float) -> tuple[Pass, Pass]:
    """10 requests of 100 prompt tokens, for one and for 11 tokens each."""
    return Pass(5, 10, 1000, 10, prefill_s), Pass(5, 10, 1000, 110, whole_s)


def test_decoding_is_what_a_pass_takes_beyond_its_prompts() -> None:
    # The medians are 2 s and 7 s; one slow pass of each does not count.
    prefills, wholes = zip(made(2.0, 7.0), made(1.9, 6.0), made(30.0, 90.0), strict=True)
    found = figures(prefills, wholes, batch=10, requests_per_document=2.0, load_s=1.0, memory_bytes=1)
    assert found.prefill_tokens_per_s == 500
    assert found.decode_tokens_per_s == 100 / 5
    assert found.documents_per_s == 5 / 7
    assert (found.prompt_tokens, found.context) == (100, 105.5)


@pytest.mark.parametrize("whole_s", [1.5, 2.0])
def test_decoding_that_drowned_in_noise_has_no_rate(whole_s: float) -> None:
    prefills, wholes = zip(made(2.0, whole_s), strict=True)
    found = figures(prefills, wholes, batch=10, requests_per_document=2.0, load_s=1.0, memory_bytes=1)
    assert found.decode_tokens_per_s is None
    shares = standing(found, SMALL, Ceilings("cpu", 1, {"square": 1e12}, {"read": 1e9}), is_nf4=False)
    assert shares.decode_share is None


def test_a_sample_with_more_requests_a_document_does_not_count_as_slower() -> None:
    prefills, wholes = zip(made(2.0, 7.0), strict=True)
    found = figures(prefills, wholes, batch=1, requests_per_document=1.0, load_s=1.0, memory_bytes=1)
    assert found.documents_per_s == 10 / 7


def test_shares_are_of_the_ceilings_of_that_load() -> None:
    prefills, wholes = zip(made(2.0, 7.0), strict=True)
    found = figures(prefills, wholes, batch=10, requests_per_document=2.0, load_s=1.0, memory_bytes=1)
    ceilings = Ceilings("cpu", 1, {"square": 1e12}, {"read": 1e9})
    plain, packed = (standing(found, SMALL, ceilings, is_nf4=is_nf4) for is_nf4 in (False, True))
    assert plain.prefill_share == 500 / plain.prefill_ceiling
    assert plain.decode_share == 20 / plain.decode_ceiling
    assert packed.decode_ceiling > plain.decode_ceiling
    assert packed.prefill_ceiling == plain.prefill_ceiling


def test_the_table_fits_a_terminal_whatever_went_wrong() -> None:
    row = {
        "documents_per_s": 12345.678,
        "times_quick_start": None,
        "prompt_tokens_per_s": 1234567.8,
        "completion_tokens_per_s": 1234567.8,
        "memory_bytes": 139.9e9,
        "prefill_share": 1.234,
        "decode_share": None,
    }
    report = {
        "conditions": {"documents": 128, "max_tokens": 128},
        "parameters": 13_254_000_000,
        "parts": {
            "model": {"seconds": 1.0},
            "ceilings": {"device": "NVIDIA H200", "matrix_rate": 7.9e14, "bandwidth": 4.3e12},
            "transformers": row,
            "vllm": {"failure": "RuntimeError: CUDA error\n" + "and what it says about it " * 100},
            "nf4": {"failure": "bitsandbytes is not installed here"},
        },
    }
    lines = [*table.lines(report)]
    assert max(map(len, lines)) <= 80
    assert lines[1] == "NVIDIA H200: 790 TFLOP/s in bfloat16 matrix products, 4300 GB/s"
    assert lines[-1] == "nf4           bitsandbytes is not installed here"
    assert sum(line.startswith("vllm") for line in lines) == 1
    assert len(lines) <= 10
    report["parts"]["ceilings"] = {"failure": "no device"}  # type: ignore[index]
    assert "ceilings      no device" in table.lines(report)
