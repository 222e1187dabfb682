"""The learning loop from end to end, for real, on this machine: `PYTHONPATH=tests python -m learn --help`.

The shipped model meets a domain that it does not know. Documents keep coming; people mark some of them; a run is
triggered, trains, is judged and promoted; the workers follow. Then somebody marks at random, and the gate says no.
Then everything is rolled back.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson
import traffic_stage
import webhook_inbox
from traffic_stage import Seen, Traffic

from learn import domain
from learn.domain import Domain
from learn.figures import Measured, measured, plot
from sluice_producer import Sluice
from sluice_schemas import signing_secret
from sluice_schemas.document import Document
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import connect
from sluice_schemas.sql import database
from sluice_worker.client import SLUICE
from sluice_worker.delivery.signing import variable
from sluice_worker.engine import load
from sluice_worker.evaluation import resample, serve
from sluice_worker.learning.run import Run
from sluice_worker.learning.run_store import RunStore
from sluice_worker.ledger import RedisOutbox
from sluice_worker.process import stack
from sluice_worker.process.logs import configure
from sluice_worker.settings import Settings
from sluice_worker.training.corpus import Row
from sluice_worker.work import extract

HELD_OUT, LABELLED, SPOILED = 110, 400, 125
TRAFFIC_EVERY_S = 1.5
FOLLOW_S = 10.0
GAIN = 10.0
"""Points of F1 that the held-out documents must rise by at least."""
RUN_S = 600.0
INBOX = "inbox"


@dataclass
class Proof:
    """What was seen so far, statement by statement."""

    held: list[tuple[str, bool]] = field(default_factory=list)

    def holds(self, statement: str, is_so: bool) -> None:
        self.held.append((statement, is_so))
        click.echo(f"{'ok     ' if is_so else 'FAILED '} {statement}")

    @property
    def is_whole(self) -> bool:
        return all(is_so for _, is_so in self.held)


@dataclass
class Loop:
    """A running installation, seen by those who use it."""

    client: Sluice
    runs: RunStore
    environment: dict[str, str]

    def read(self, rows: Sequence[Row], mark: str) -> list[Extraction]:
        """Through the queue, as any document."""
        documents = [Document(id=f"{mark}-{i}", text=row.text) for i, row in enumerate(rows)]
        jobs = [self.client.submit(each, schema=domain.SCHEMA.ref) for each in documents]
        return [self.client.result(job.id, timeout_s=300) for job in jobs]

    def mark(self, rows: Sequence[Row], name: str, *, draw: random.Random | None = None) -> None:
        """Each is read, and then marked by a person: carefully, or with `draw` at random."""
        documents = [Document(id=f"{name}-{i}", text=row.text) for i, row in enumerate(rows)]
        jobs = [
            self.client.submit(each, schema=domain.SCHEMA.ref, reviewable=True, priority="bulk") for each in documents
        ]
        for job, row, document in zip(jobs, rows, documents, strict=True):
            self.client.result(job.id, timeout_s=300)
            label = domain.spoiled(row, document, draw) if draw else domain.label(row, document)
            self.client.label(job.id, label.model_copy(update={"job_id": job.id}), author=label.author)

    def await_run(self, number: int) -> Run:
        """The end of the run of that number, counted from 1."""
        seen, until = 0, time.monotonic() + RUN_S
        while time.monotonic() < until:
            found = [*reversed(self.runs.latest())]
            if len(found) >= number:
                run = found[number - 1]
                for line in self.runs.lines(run.id, after=seen):
                    seen = line.number
                    click.echo(f"           {line.text}")
                if not run.is_active:
                    return run
            time.sleep(0.5)
        raise click.ClickException(f"Run {number} did not end within {RUN_S:.0f} s; see `sluice runs list`.")

    def sluice(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*SLUICE, *words], env=self.environment, capture_output=True, text=True)


@contextmanager
def installation(folder: Path) -> Iterator[tuple[Loop, webhook_inbox.Inbox]]:
    """Redis, a worker, a deliverer, a trainer and a scheduler; and a receiver of their webhooks."""
    secret = signing_secret.make()
    settings = {
        variable(INBOX): secret,
        "SLUICE_DELIVERY_NETWORKS": '["127.0.0.0/8"]',
        "SLUICE_RETRAIN_LABELS": str(LABELLED),
        "SLUICE_TRAIN_PRESET": str(Path(__file__).with_name("preset.yaml")),
        "SLUICE_BEAT_EVERY_S": "2",
        "SLUICE_THREADS": "16",
        "SLUICE_ADAPTERS_CACHE": str(folder / "cache"),
        # Two processes share two cores here: what a document takes says little.
        "SLUICE_GATE_LATENCY": "3",
    }
    roles = {**stack.ROLES, **stack.LEARNING}
    with (
        webhook_inbox.receiving(secret) as inbox,
        stack.running(folder, redis_url=None, environment={**os.environ, **settings}, roles=roles) as running,
        Sluice(running.redis_url, labels=running.labels_url) as client,
    ):
        client.publish(domain.SCHEMA)
        with closing(connect(running.redis_url)) as redis:
            RedisOutbox(redis).add_endpoint(Endpoint(name=INBOX, url=inbox.url, allow_http=True))
        engine = database.connect(running.labels_url)
        environment = {
            **os.environ,
            **settings,
            "SLUICE_REDIS_URL": running.redis_url,
            "SLUICE_LABELS_URL": running.labels_url,
            "SLUICE_ADAPTERS_URL": f"file://{folder / 'adapters'}",
        }
        yield Loop(client, RunStore(engine), environment), inbox
        engine.dispose()


def prove(loop: Loop, inbox: webhook_inbox.Inbox, rows: Domain, proof: Proof) -> dict[str, Any]:
    """All of it, in order; the figures."""
    held_out = rows.held_out
    click.echo(f"1. {len(held_out)} documents of an unknown domain, before anybody marked any")
    first = loop.read(held_out, "before")
    before = measured("before", held_out, first)
    click.echo(f"           F1 {before.f1:.1f}")
    coming = Traffic(loop.client, domain.SCHEMA.ref, [row.text for row in rows.traffic], TRAFFIC_EVERY_S, (INBOX,))
    coming.start()
    click.echo(f"2. Documents keep coming; people mark {len(rows.labelled)} of others")
    loop.mark(rows.labelled, "marked")
    click.echo("3. A run is due")
    promoted = loop.await_run(1)
    proof.holds("the first run was triggered by the count of labels", promoted.cause == "count")
    proof.holds("it was promoted", promoted.state == "promoted")
    time.sleep(FOLLOW_S + 3 * TRAFFIC_EVERY_S)
    second = loop.read(held_out, "after")
    after = measured("after run 1", held_out, second)
    gain = resample.difference(before.rows, after.rows)
    low = gain.interval[0] if gain.interval else 0.0
    proof.holds(
        f"F1 on held-out documents rose from {before.f1:.1f} to {after.f1:.1f}: by {GAIN:.0f} points or more",
        after.f1 - before.f1 >= GAIN,
    )
    proof.holds(f"the interval of the gain, {gain.interval}, lies above zero", low > 0)
    proof.holds("each of them names the new adapter", {each.adapter for each in second} == {promoted.adapter})
    click.echo(f"4. Somebody marks {len(rows.spoiled)} documents at random")
    loop.mark(rows.spoiled, "spoiled", draw=random.Random(domain.SEED))
    asked = loop.sluice("retrain")
    proof.holds(f"`sluice retrain` queues a run: {asked.stdout.strip()}", asked.returncode == 0)
    rejected = loop.await_run(2)
    proof.holds("the gate rejected the run on shuffled labels", rejected.state == "rejected")
    click.echo("5. Everything is rolled back")
    back = loop.sluice("adapters", "rollback")
    proof.holds("`sluice adapters rollback` says that the worker follows", back.returncode == 0)
    third = loop.read(held_out, "again")
    same = sum(_said(one) == _said(other) for one, other in zip(first, third, strict=True))
    proof.holds(f"{same} of {len(first)} documents have their first answers again", same == len(first))
    seen = coming.stop()
    _traffic(seen, coming, inbox, promoted, proof)
    worse = loop.runs.get(rejected.id).step("gate").detail
    points = [before, after, measured("rolled back", held_out, third)]
    return {
        "before": _figures(before),
        "after": _figures(after),
        "gain": {"points": gain.gain, "interval": gain.interval},
        "rejected": {"reason": rejected.reason, "scores": {k: worse.get(k) for k in ("champion", "challenger")}},
        "runs": [_run(promoted), _run(rejected)],
        "traffic": {"documents": len(seen), "states": dict(traffic_stage.states(seen)), "events": len(inbox.events)},
        "points": points,
    }


def under(adapter: Path, rows: Sequence[Row]) -> Measured:
    """What an adapter that never served makes of the held-out documents, by the same engine."""
    settings = Settings.read()
    engine = load.load(settings)
    try:
        name = engine.load_adapter(adapter)
        read = partial(extract, engine=engine, limits=load.limits(settings, engine.card), adapter=name)
        with ThreadPoolExecutor(serve.THREADS) as pool:
            found = [*pool.map(lambda row: read(Document(id="x", text=row.text), domain.SCHEMA), rows)]
    finally:
        engine.close()
    return replace(measured("run 2, rejected", rows, found), kind="rejected")


def _traffic(seen: Sequence[Seen], coming: Traffic, inbox: webhook_inbox.Inbox, promoted: Run, proof: Proof) -> None:
    states = traffic_stage.states(seen)
    proof.holds(
        f"of {len(seen)} documents that came meanwhile none failed: {dict(states)}",
        bool(seen) and states == {"succeeded": len(seen)} and not coming.refused,
    )
    until = time.monotonic() + 30
    while len(inbox.events) < len(seen) and time.monotonic() < until:
        time.sleep(0.2)
    by_job = {event.job.id for event in inbox.events.values()}
    proof.holds(
        f"each was delivered, and none twice: {len(inbox.events)} events of {len(by_job)} jobs",
        len(inbox.events) == len(by_job) == len(seen),
    )
    swapped = traffic_stage.last_not_under(
        [each for each in seen if each.job.accepted_at < (promoted.ended_at or 0) + 60],
        promoted.adapter or "",
        begun_after=promoted.ended_at or 0,
    )
    took = max(0.0, (swapped or 0) - (promoted.ended_at or 0)) if swapped else 0.0
    proof.holds(f"the worker followed within {FOLLOW_S:.0f} s of the promotion ({took:.1f} s)", took <= FOLLOW_S)
    adapters = {each.extraction.adapter for each in seen if each.extraction}
    proof.holds("documents were read by the bare model and by the new adapter", adapters == {None, promoted.adapter})


def _said(extraction: Extraction) -> object:
    return [(each.text, each.type, each.span) for each in extraction.entities]


def _figures(each: Measured) -> dict[str, Any]:
    return {"f1": round(each.f1, 2), "interval": each.interval, "documents": len(each.rows)}


def _run(run: Run) -> dict[str, Any]:
    steps = {step.name: round((step.ended_at or 0) - (step.started_at or 0), 1) for step in run.steps if step.is_done}
    trained = run.step("train").detail
    return {
        "id": run.id,
        "cause": run.cause,
        "state": run.state,
        "reason": run.reason,
        "adapter": run.adapter,
        "seconds": steps,
        "tokens_per_s": trained.get("tokens_per_s"),
        "peak_bytes": trained.get("peak_bytes"),
    }


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder with sec_filings.train.jsonl.gz.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path(".build/learn"), show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), default=Path(".build/learn.json"), show_default=True)
def main(data: Path, out: Path, target: Path) -> None:
    """Prove that labels become a better adapter, and that no worse one is ever served. Takes about ten minutes."""
    configure("WARNING")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows = domain.read(data, held_out=HELD_OUT, labelled=LABELLED, spoiled=SPOILED)
    out = out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    started, proof = time.monotonic(), Proof()
    with installation(out) as (loop, inbox):
        figures = prove(loop, inbox, rows, proof)
    before, after, back = figures.pop("points")
    refused = under(out / "adapters" / figures["runs"][1]["adapter"], rows.held_out)
    points = [before, after, refused, back]
    figures["refused"] = _figures(refused)
    click.echo(
        f"           The adapter of run 2, which never served, has F1 {refused.f1:.1f} on the held-out documents"
    )
    for kind in ("svg", "png"):
        plot(points, out / f"f1.{kind}")
    figures["minutes"] = round((time.monotonic() - started) / 60, 1)
    figures["statements"] = dict(proof.held)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    click.echo(
        f"{figures['minutes']} minutes. Figures: {target}; plot: {out}/f1.svg; reports: {out}/runs/*/report.html"
    )
    sys.exit(not proof.is_whole)


if __name__ == "__main__":
    main()
