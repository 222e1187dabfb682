"""Labels for tests, and a process that keeps some: `python -m label_stage URL NAME COUNT [die]`."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sluice_schemas.label import Label
from sluice_schemas.labels.store import LabelStore
from sluice_schemas.schema import ExtractionSchema
from sluice_schemas.sql import database

SCHEMA = ExtractionSchema.of(
    {
        "id": "test/entities",
        "version": 1,
        "task": "NER",
        "language": "en",
        "types": [{"name": "person"}, {"name": "place"}],
    }
)


def story(name: str, *, words: int = 60) -> str:
    """A text that is near to no other story's; it begins with Anna."""
    draw = random.Random(name)
    return "Anna " + " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(words))


def label(text: str, **fields: Any) -> Label:
    """That the text's first word is a person, unless fields say otherwise."""
    given = {
        "document": {"id": fields.pop("document_id", "d"), "text": text},
        "schema_ref": SCHEMA.ref,
        "verdict": "imported",
        "author": "tester",
        "entities": [{"text": text.split()[0], "type": "person"}],
    }
    return Label.of({**given, **fields})


def writer(url: str, name: str, count: int, *options: str) -> "subprocess.Popen[str]":
    """A process that prints the id of each label that it was told is kept."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "label_stage", url, name, str(count), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def main(url: str, name: str, count: str, *options: str) -> None:
    engine = database.connect(url)
    if "die" in options:
        # In the last moment in which nothing may be kept.
        sa.event.listen(engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    store = LabelStore(engine)
    for number in range(int(count)):
        stored = store.add(label(story(f"{name}{number}")), schema=SCHEMA)
        print(stored.id, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
