"""What commands read from files: each function reads bytes as its command does, and lets through what that would."""

import io
import tempfile
from functools import cache
from pathlib import Path

from rich.console import Console

from sluice_producer.cli import intake
from sluice_producer.cli.results_file import ResultsFile
from sluice_producer.view import page, table
from sluice_producer.view.command import read as read_results
from sluice_schemas import shelf
from sluice_schemas.errors import SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Order
from sluice_schemas.ledger import keys
from sluice_schemas.schema import ExtractionSchema, Task
from sluice_worker.conversion import labels
from sluice_worker.conversion.convert import Split, Wishes, converter
from sluice_worker.conversion.convert import convert as convert_lines
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.evaluation import asked, counting, outcome, predictions, queue
from sluice_worker.evaluation import predict as predicting
from sluice_worker.evaluation.rules import Rules

LABELS = labels.SchemaLines(("person", "join"), ("joined",), {"join": ("who",), "person": ("joined",)})
TYPED = labels.SchemaLines(("person_joined_company",), (), {})


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sluice-fuzz-"))


def written(raw: bytes, name: str = "input") -> Path:
    """A file that holds these bytes, until the next call."""
    path = _folder() / name
    path.write_bytes(raw)
    return path


def schema(raw: bytes) -> ExtractionSchema:
    """`sluice schemas check FILE`, and what publishing would send."""
    found = shelf.load(written(raw, "schema.yaml"))
    assert ExtractionSchema.decode(found.encode()) == found
    assert found.digest
    return found


def label_lines(raw: bytes) -> None:
    """`sluice convert --schema FILE`, OneKE's three lines."""
    found = labels.read(written(raw))
    labels.types_of("EE", found)
    labels.types_of("SPO", found)


def submission(raw: bytes) -> None:
    """`sluice submit FILE`: a bad line is told, and the rest goes on."""
    wishes = intake.Wishes("news/entities-en@1", "text", {"language": "auto", "priority": "bulk"})
    for read in (intake.jsonl, intake.plain_text):
        for line in read(io.BytesIO(raw), wishes):
            if line and not isinstance(line.order, SluiceError):
                assert Order.decode(line.order.encode()) == line.order
                assert keys.fingerprint(line.order)


def results(raw: bytes) -> None:
    """`sluice submit --out FILE` on a file that is there already."""
    with ResultsFile(written(raw)) as file:
        file.write(Extraction(job_id="j", document_id="d", schema_ref="s@1", task="NER", language="en", model="m"), "t")


def view(raw: bytes) -> None:
    """`sluice view FILE --html PAGE`: a bad line is told, and the rest is shown."""
    rows = [*read_results(raw.splitlines(keepends=True))]
    found = [row for row in rows if isinstance(row, Extraction)]
    table.show(Console(file=io.StringIO(), width=80, markup=False, emoji=False, highlight=False), found)
    page.render(found, unread=[str(row) for row in rows if not isinstance(row, Extraction)]).encode()


def convert(task: Task, raw: bytes) -> None:
    """`sluice convert FILE`: a bad line is told, and the rest goes on."""
    types = labels.types_of(task, TYPED if task == "SPO" else LABELS)
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        lines = converter(Wishes(task=task, language="en", split=split, text_order=True), types)
        count = convert_lines(io.BytesIO(raw), io.BytesIO(), lines=lines, report=lambda number, fault: None)
        assert count.documents + count.bad <= raw.count(b"\n") + 1


def evaluate(task: Task, raw: bytes) -> None:
    """`sluice evaluate FILE --sort-by source`, by either reader and either count."""
    predictions.named_tasks(io.BytesIO(raw))
    for rules in (Rules(task), Rules(task, is_clean=True, is_lenient=True)):
        found = predictions.read(io.BytesIO(raw), task=task, parse=rules.parse, sort_by="group")
        counts = counting.count(found, rules.claims)
        whole = outcome.scored(counting.total(found, counts))
        groups = [outcome.scored(each) for each in counting.sections(found, counts)]
        outcome.as_text(outcome.Outcome(Path("f"), rules, found, whole, groups, counts).as_json(), indent=2)


def predict(raw: bytes) -> None:
    """`sluice predict FILE`, with and without `--queue`."""
    read = [*asked.read(io.BytesIO(raw), task="NER")]
    [*queue._orders(each for each in read if isinstance(each, asked.Asked))]
    answered = [*predicting.predict(ScriptedEngine(lambda prompt: "{}"), read, level="grounded", answer_tokens=9)]
    assert len(answered) == len(read)
