"""The GPU script from end to end, on the processor and on a small shape; and the model and the loop it measures."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from bench import quick_start, random_model
from bench.shape import SMALL
from gpu.conditions import Conditions
from gpu.run import PartFailed, is_installed, run
from transformers import AutoModelForCausalLM, AutoTokenizer

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return random_model.make(tmp_path_factory.mktemp("random") / "model", SMALL, device="cpu", shard_bytes=1 << 20)


def bench(target: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    quick = ("--documents", "6", "--max-tokens", "8", "--budget-s", "0", "--threads", "1", "--batch-tokens", "4096")
    return subprocess.run(
        [sys.executable, "-m", "gpu.bench", "--shape", "small", "--json", str(target), *quick, *options],
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
        capture_output=True,
        text=True,
    )


def engines(*names: str) -> Sequence[str]:
    return [word for name in names for word in ("--engine", name)]


@pytest.mark.timeout(300)
def test_it_measures_every_engine_against_the_same_ceilings(tmp_path: Path) -> None:
    target = tmp_path / "gpu.json"
    names = ("quick start", "transformers", "nf4")
    done = bench(target, "--device", "cpu", *engines(*names))
    assert done.returncode == 0, done.stderr
    report = json.loads(target.read_text())
    parts = report["parts"]
    assert report["parameters"] == SMALL.parameters
    assert report["conditions"]["shape"]["width"] == SMALL.width
    assert parts["ceilings"]["matrix_rate"] > 1e9
    assert parts["quick start"]["times_quick_start"] == 1.0
    for name in names:
        part = parts[name]
        assert part["documents_per_s"] == pytest.approx(
            part["times_quick_start"] * parts["quick start"]["documents_per_s"]
        )
        # Eight tokens by a model of this size: on a busy machine they may drown in the noise of their prompts.
        if (rate := part["decode_tokens_per_s"]) is not None:
            assert part["decode_share"] == pytest.approx(rate / part["decode_ceiling"])
        assert part["prefill_share"] == pytest.approx(part["prefill_tokens_per_s"] / part["prefill_ceiling"])
        assert part["memory_bytes"] > 0
        assert 1 <= part["passes"] <= 5
    assert (parts["quick start"]["batch"], parts["transformers"]["batch"]) == (1, parts["transformers"]["requests"])
    assert parts["nf4"]["decode_ceiling"] > parts["transformers"]["decode_ceiling"]
    rows = {line[:14].strip(): line for line in done.stdout.splitlines()}
    assert all(len(rows[name].split()) == 7 + len(name.split()) for name in names)


@pytest.mark.timeout(300)
def test_vllm_is_measured_where_it_is_installed_and_named_where_not(tmp_path: Path) -> None:
    target = tmp_path / "gpu.json"
    done = bench(target, "--device", "cpu", *engines("vllm"))
    part = json.loads(target.read_text())["parts"]["vllm"]
    if is_installed("vllm"):
        assert done.returncode == 0, done.stderr
        assert part["documents_per_s"] > 0
        assert part["times_quick_start"] is None
    else:
        assert part["failure"] == "vLLM is not installed here"
        assert "vllm          vLLM is not installed here" in done.stdout
        assert done.returncode == 1


def test_without_a_gpu_every_line_says_why_there_is_nothing(tmp_path: Path) -> None:
    target = tmp_path / "gpu.json"
    done = bench(target, "--device", "cuda", *engines("quick start"), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    parts = json.loads(target.read_text())["parts"]
    assert "CUDA" in parts["model"]["failure"] or "NVIDIA" in parts["model"]["failure"]
    assert parts["quick start"]["failure"] == "there is no model to measure"
    assert "quick start   there is no model to measure" in done.stdout


def test_a_part_is_cut_when_its_time_is_over(folder: Path) -> None:
    conditions = Conditions(
        folder, SMALL, device="cpu", threads=1, documents=5, max_tokens=8, batch_tokens=4096, budget_s=0
    )
    started = time.monotonic()
    with pytest.raises(PartFailed, match="in the midst"):
        run("quick start", conditions, until=started + 0.2)
    with pytest.raises(PartFailed, match="not begun"):
        run("quick start", conditions, until=started)
    assert time.monotonic() - started < 5


def test_a_random_model_loads_whole(folder: Path) -> None:
    assert len([*folder.glob("*.safetensors")]) > 2
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.dtype == torch.bfloat16
    assert sum(each.numel() for each in model.parameters()) == SMALL.parameters
    assert not model.lm_head.weight[:3].any()  # padding, begin and end: never the likeliest
    assert model.lm_head.weight[3:].any(dim=1).all()
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert size_bytes == pytest.approx(2 * SMALL.parameters, rel=0.01)


# The second is larger than what there is to learn, as OneKE's is.
@pytest.mark.parametrize("vocabulary", [SMALL.vocabulary, random_model.LEARNED + 1000])
def test_its_tokenizer_reads_everything_and_names_every_token(vocabulary: int) -> None:
    tokenizer = random_model.tokenizer(vocabulary)
    assert len(tokenizer) == vocabulary
    text = "张三 founded Acme 😀 in 1999.\n"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert max(ids) < vocabulary
    assert all(tokenizer.batch_decode([[i] for i in range(vocabulary)]))


def test_the_quick_start_takes_each_answer_to_its_end(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    documents = [["Ann Lee founded Acme.", "One more."], ["张三在巴黎。"]]
    done = quick_start.run(model, tokenizer, documents, max_tokens=40)
    assert (done.documents, done.requests, done.completion_tokens) == (2, 3, 120)
    assert done.prompt_tokens == sum(len(tokenizer.encode(prompt)) for prompts in documents for prompt in prompts)
    none = quick_start.run(model, tokenizer, documents, max_tokens=40, limit_s=0)
    assert (none.documents, none.requests) == (0, 0)
