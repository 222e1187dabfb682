"""What a tuning learns from: records as sequences on disk, in an order that only the seed decides."""

import itertools
from collections import Counter
from pathlib import Path

import orjson
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.model_folder import SHIPPED
from sluice_worker.protocol.instruction import build
from sluice_worker.training import tuning_data, tuning_order
from sluice_worker.training.sequence import IGNORED
from sluice_worker.training.tuning_data import Sequences
from sluice_worker.training.tuning_plan import Tuning

BASE = SHIPPED / "sluice-tiny"
TEXTS = ["Anna works in Oslo.", "Bruno and Anna left. It rained on them.", "Nobody came."]


def record(text: str, output: str = '{"person": ["Anna"]}') -> dict[str, str]:
    return {"task": "NER", "source": "s", "instruction": build("NER", "en", ["person"], text), "output": output}


def prepared(folder: Path, *lines: object, **settings: object) -> Sequences:
    records = folder / "records.jsonl"
    records.write_bytes(b"".join(each if isinstance(each, bytes) else orjson.dumps(each) + b"\n" for each in lines))
    tuning_data.prepare(records, folder / "out.safetensors", base=BASE, tuning=Tuning.of(settings))
    return Sequences.read(folder / "out.safetensors")


def test_sequences_come_back_as_they_were_fitted(tmp_path: Path) -> None:
    found = prepared(tmp_path, *map(record, TEXTS), b"\n")
    assert found.tally == {"kept": 3, "shortened": 0, "dropped": {}}
    assert len(found.lengths) == 3
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    for i, text in enumerate(TEXTS):
        tokens, answer = found[i]
        assert len(tokens) == found.lengths[i]
        assert text in tokenizer.decode(tokens[:answer])
        assert tokenizer.decode(tokens[answer:]) == '{"person": ["Anna"]}</s>'


def test_a_pass_counts_answers_alone_and_asks_for_no_other_predictions(tmp_path: Path) -> None:
    found = prepared(tmp_path, *map(record, TEXTS))
    shown = tuning_data.collate([found[i] for i in range(3)])
    kept = shown["logits_to_keep"]
    assert shown["labels"].shape == (3, kept)
    assert bool((shown["labels"][:, 0] == IGNORED).all()), "the model shifts labels: the first is never predicted"
    for i in range(3):
        tokens, answer = found[i]
        row = shown["labels"][i]
        assert torch.equal(row[row != IGNORED], tokens[answer:].long())
        first = shown["input_ids"].shape[1] - kept
        assert torch.equal(row[answer - first : len(tokens) - first], tokens[answer:].long())


def test_a_limit_of_the_prompt_shortens_the_text_alone(tmp_path: Path) -> None:
    whole = prepared(tmp_path, record(TEXTS[1]))
    limit = int(whole.answers[0]) - 1
    found = prepared(tmp_path, record(TEXTS[1]), prompt_tokens=limit)
    assert found.tally["shortened"] == 1
    assert int(found.answers[0]) <= limit
    assert torch.equal(found[0][0][int(found.answers[0]) :], whole[0][0][int(whole.answers[0]) :])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "holds no records"),
        (b"{]\n", "line 1 is no training record"),
        (b'{"task": "NER", "instruction": "{}"}\n', "sluice convert --split train"),
        (orjson.dumps({**record("x"), "task": "MRC"}) + b"\n", "line 1"),
        (orjson.dumps({**record("x"), "instruction": "plain"}) + b"\n", "line 1"),
        (orjson.dumps({**record("x"), "output": None}) + b"\n", "line 1"),
        (b"[1]\n", "line 1"),
        (record("x", '{"person": ["' + "Anna " * 400 + '"]}'), "1 answer too long"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(tmp_path: Path, line: object, reason: str) -> None:
    with pytest.raises(Misconfigured, match=reason) as refused:
        prepared(tmp_path, line)
    assert "Anna" not in str(refused.value), "no text of a document stands in a message"


# The order


@given(st.lists(st.integers(1, 500), min_size=1, max_size=90), st.integers(1, 40), st.integers(0, 3))
def test_every_sequence_is_seen_once_before_any_is_seen_twice(lengths: list[int], steps: int, seed: int) -> None:
    passes = tuning_order.order(lengths, steps=steps, batch=4, device_batch=2, seed=seed)
    assert len(passes) == steps * 2
    assert all(len(each) == 2 for each in passes)
    seen = Counter(index for each in passes for index in each)
    assert max(seen.values()) - min(seen[i] for i in range(len(lengths))) <= 1


def test_the_passes_of_a_step_hold_the_same_sequences_however_they_are_cut() -> None:
    lengths = [7 * i % 101 for i in range(100)]
    wide = tuning_order.order(lengths, steps=9, batch=8, device_batch=8, seed=5)
    narrow = tuning_order.order(lengths, steps=9, batch=8, device_batch=2, seed=5)
    joined = [[*itertools.chain(*narrow[i : i + 4])] for i in range(0, len(narrow), 4)]
    assert joined == wide
    assert wide != tuning_order.order(lengths, steps=9, batch=8, device_batch=8, seed=6)


def test_a_step_is_of_like_length_and_steps_come_as_drawn() -> None:
    lengths = [(37 * i) % 400 for i in range(400)]
    passes = tuning_order.order(lengths, steps=25, batch=16, device_batch=16, seed=1)
    padded = sum(max(lengths[i] for i in each) * len(each) for each in passes)
    assert padded < 1.15 * sum(lengths)
    longest = [max(lengths[i] for i in each) for each in passes[: tuning_order.POOL_STEPS]]
    assert longest != sorted(longest)
