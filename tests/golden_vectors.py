"""Compares the protocol with recorded behaviour of the original, one JSON file a vector.

`python -m golden_vectors [FOLDER ...]` prints a line a kind. Without folders it takes the published vectors, which lie
in $SLUICE_GOLDEN or ../shared/golden/public, and our own.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden_convert import check_convert, check_target
from golden_evaluate import check_eval, check_metric
from golden_preprocess import check_preprocess

from sluice_worker.protocol.document_id import document_id
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.prompt import render
from sluice_worker.protocol.records import EntityRecord, EventRecord, NodeRecord, Record, RelationRecord, triples_of
from sluice_worker.protocol.split import split

ROOT = Path(__file__).resolve().parent.parent
OWN = Path(__file__).resolve().parent / "golden_own"

Check = Callable[[dict[str, Any], dict[str, Any]], Iterator[str]]
"""Takes the vector and one of its cases; yields a sentence for each difference."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One file. A file without a `cases` list is one case."""

    name: str
    kind: str
    content: dict[str, Any]

    @property
    def cases(self) -> list[dict[str, Any]]:
        cases: list[dict[str, Any]] = self.content.get("cases", [self.content])
        return [*cases, *self.content.get("infer_max_len_cases", [])]


def public() -> Path:
    return Path(os.environ.get("SLUICE_GOLDEN") or ROOT / "../shared/golden/public")


def load(folder: Path) -> list[Vector]:
    """Every vector below `folder`, by name; none when there is no such folder."""
    contents = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.json"))}
    return [Vector(str(path.relative_to(folder)), each["kind"], each) for path, each in contents.items()]


def problems(vector: Vector) -> list[str]:
    """What differs, with the number of the case; raises KeyError for a kind that nothing checks yet."""
    check = CHECKS[vector.kind]
    return [
        f"case {number}: {problem}"
        for number, case in enumerate(vector.cases)
        for problem in check(vector.content, case)
    ]


def _check_split(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    labels = [str(number) for number in range(case["n_labels"])]
    parts = split(labels, case["split_num"])
    if [label for part in parts for label in part] != labels:
        yield "labels lost or moved"
    for mode in ("train", "test"):
        yield from _differ(mode, [len(part) for part in parts], case[mode])


def _check_id(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    yield from _differ("id", document_id(case["text"]), case["expected"])


def _check_instruction(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    built = build(case["task"], case["language"], case["schema"], case["text"])
    yield from _differ("instruction", built, case["expected"])


def _check_prompt(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    prompt = render(case["query"], form=case["template"], system=case["system"])
    eos = prompt.eos or "</s>"
    yield from _differ("prompt", "<s>" + prompt.text, case["expected_prompt"])
    yield from _differ("answer", case["response"] + ("" if prompt.ends_sequence else eos), case["expected_answer"])
    yield from _differ("efficient_eos", prompt.ends_sequence, case["efficient_eos"])
    yield from _differ("eos", eos, case["eos_token_after_fix"])
    yield from _differ("stops", list(prompt.stops), case["extra_stop_tokens"])


def _check_extract(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    """`expected_flat` and `expected` where the original is wrong; where it crashes, an object must still be read."""
    parsed = parse_strict(vector["task"], case["output"])
    wanted = case.get("expected_flat") or case.get("expected") or case["original"]
    if "raises" in wanted:
        yield from _differ("ok", parsed.ok, True)
        return
    records = [each for record in parsed.records for each in _in_original_form(vector["task"], record)]
    got = {"ok": parsed.ok, "records": json.loads(json.dumps(records))}
    yield from _differ("records", got, wanted)


def _in_original_form(task: str, record: Record) -> Iterator[Any]:
    match record:
        case EntityRecord():
            yield record.text, record.type
        case RelationRecord():
            yield record.head, record.relation, record.tail
        case EventRecord() if task == "EET":
            yield record.trigger, record.type
        case EventRecord():
            yield record.type, record.trigger, record.arguments
        case NodeRecord():
            yield from triples_of(record)


def _differ(what: str, got: Any, wanted: Any) -> Iterator[str]:
    if got != wanted:
        yield f"{what} is {got!r}, not {wanted!r}"


CHECKS: dict[str, Check] = {
    "convert": check_convert,
    "target": check_target,
    "split": _check_split,
    "id": _check_id,
    "instruction": _check_instruction,
    "prompt": _check_prompt,
    "preprocess": check_preprocess,
    "extract": _check_extract,
    "eval": check_eval,
    "metric": check_metric,
}


def _failed_cases(faults: list[str]) -> set[str]:
    return {fault.split(":")[0] for fault in faults}


def main(folders: list[str]) -> int:
    found = {folder: load(folder) for folder in (map(Path, folders) if folders else [public(), OWN])}
    vectors = [vector for each in found.values() for vector in each]
    totals = Counter(vector.kind for vector in vectors for _ in vector.cases)
    failures = {vector.name: problems(vector) for vector in vectors if vector.kind in CHECKS}
    failed = Counter(vector.kind for vector in vectors for _ in _failed_cases(failures.get(vector.name, [])))
    for kind, total in sorted(totals.items()):
        outcome = f"{total - failed[kind]}/{total}" if kind in CHECKS else f"of {total} none can be checked"
        sys.stdout.write(f"{kind:12} {outcome}\n")
    for name, faults in failures.items():
        sys.stdout.write("".join(f"{name} {fault}\n" for fault in faults))
    empty = [folder for folder, each in found.items() if not each]
    sys.stdout.write("".join(f"No vectors in {folder}: set SLUICE_GOLDEN to their folder.\n" for folder in empty))
    return 1 if empty or failed or totals.keys() - CHECKS.keys() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
