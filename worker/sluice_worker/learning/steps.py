"""The steps of a run, each a function of its context: labels in, an adapter and a verdict on it out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sluice_schemas.adapter import BASE
from sluice_schemas.catalogue import Catalogue
from sluice_schemas.errors import Misconfigured
from sluice_schemas.label import Label
from sluice_schemas.labels.store import LabelStore
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.adapters import artefacts
from sluice_worker.adapters.registry import AdapterRegistry, serving
from sluice_worker.engine import load, model_folder
from sluice_worker.engine.intake import Intake
from sluice_worker.evaluation import golden_set
from sluice_worker.learning import exercises, snapshot
from sluice_worker.learning.conductor import Context, Ended
from sluice_worker.learning.exercises import Cut
from sluice_worker.learning.run import EVERYTHING
from sluice_worker.learning.run_store import RunStore
from sluice_worker.learning.snapshot import Sample
from sluice_worker.plan import room
from sluice_worker.settings import Settings
from sluice_worker.training import launch, presets
from sluice_worker.training.tuning_plan import Tuning, TuningPlan

LABELS = "labels.jsonl"
SEED = 42
"""Of the draws of replay and of the order of labels: equal snapshots give equal records."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the steps work with."""

    settings: Settings
    labels: LabelStore
    runs: RunStore
    catalogue: Catalogue
    adapters: AdapterRegistry

    def golden(self) -> list[Label]:
        """The labels of the golden set, which never train; none where there is no such set."""
        return golden_set.read(self.settings.golden_set) if self.settings.golden_set else []

    def champion(self, scope: str) -> str | None:
        """The digest of what serves a scope; None for the bare model."""
        digest = serving(self.adapters.aliases(), scope).champion
        return None if digest == BASE else digest


def take_snapshot(shop: Workshop, context: Context) -> dict[str, Any]:
    """Writes down the labels up to now; taken again, those up to the same label."""
    run = context.run
    upto = run.upto_label or shop.labels.latest_id(run.scope)
    if not upto:
        raise Ended("failed", f"There are no labels of scope {run.scope!r}; `sluice labels import` brings some.")
    for ref in {each.label.schema_ref for each in shop.labels.snapshot(run.scope, upto=upto)}:
        # What stands in the instruction as an example must not be what a model is judged by.
        shop.labels.withhold(shop.catalogue.find(ref))
    written = snapshot.write(context.folder / LABELS, _samples(shop, run.scope, upto))
    if run.snapshot and run.snapshot != written.digest:
        context.say("The labels are not those that the run began with: documents have changed sides since.")
    counts = {share: written.total(share) for share in ("train", "dev", "test")}
    context.say(f"{counts['train']} labels to train on, {counts['dev']} to watch, {counts['test']} to judge by.")
    shop.runs.took_snapshot(context.claim, upto_label=upto, digest=written.digest)
    if not counts["train"] or not counts["test"]:
        raise Ended("rejected", f"Too few labels: {counts}. Both sides need some; the share of a document is for ever.")
    return {"digest": written.digest, "upto_label": upto, **counts, "by_schema": written.counts}


def _samples(shop: Workshop, scope: str, upto: int) -> Iterator[Sample]:
    golden = golden_set.Families(shop.golden())
    for each in shop.labels.snapshot(scope, upto=upto):
        if not golden.holds(each.label.document.text):
            yield Sample(each.label_id, each.share, each.label)


def convert(shop: Workshop, context: Context) -> dict[str, Any]:
    """Labels as records: new ones, and a draw of what was learned before."""
    run, settings, folder = context.run, shop.settings, context.folder
    upto = 0
    if not run.is_full and shop.champion(run.scope):
        last = shop.runs.last_snapshot(run.scope, before=run.id)
        upto = (last.upto_label or 0) if last else 0
    cutter = _Cutter(shop.catalogue, settings)
    new, old = cutter.records(snapshot.read(folder / LABELS, "train"), newer_than=upto)
    if not new:
        new, old = old, []
    old += exercises.replay_pool(settings.replay_records)
    if run.scope != EVERYTHING:
        others = _samples(shop, EVERYTHING, context.detail("snapshot")["upto_label"])
        old += cutter.records(each for each in others if each.share == "train" and each.label.schema_ref != run.scope)[
            0
        ]
    mixed = exercises.write(folder / "records.jsonl", new, old, replay=settings.train_replay, seed=SEED)
    watched, _ = cutter.records(snapshot.read(folder / LABELS, "dev"))
    exercises.write(folder / "dev_records.jsonl", watched, (), replay=0.0, seed=SEED)
    context.say(f"{mixed.new} records of new labels, {mixed.replayed} of what was learned before.")
    return {"new": mixed.new, "replayed": mixed.replayed, "watched": len(watched)}


@dataclass(slots=True)
class _Cutter:
    """Makes records, each schema's texts cut as the model that is tuned would be given them."""

    catalogue: Catalogue
    settings: Settings
    intake: Intake | None = None

    def records(self, samples: Iterable[Sample], *, newer_than: int = 0) -> tuple[list[str], list[str]]:
        """Those of labels after a number, and those of the others."""
        by_schema: dict[str, list[Sample]] = {}
        for each in samples:
            by_schema.setdefault(each.label.schema_ref, []).append(each)
        new: list[str] = []
        old: list[str] = []
        for ref, found in by_schema.items():
            schema = self.catalogue.find(ref)
            make = partial(exercises.records, schemas={ref: schema}, cut=self._cut(schema), seed=SEED)
            new += make([each for each in found if each.number > newer_than])
            old += make([each for each in found if each.number <= newer_than])
        return new, old

    def _cut(self, schema: ExtractionSchema) -> Cut:
        if self.intake is None:
            self.intake = Intake(model_folder.resolve(self.settings.model))
        card = self.intake.card
        limits = load.limits(self.settings, card)
        return Cut(self.intake.count_tokens, room(schema, card, self.intake.count_tokens, limits))


def train(shop: Workshop, context: Context) -> dict[str, Any]:
    """Tunes an adapter and puts it where every worker can fetch it."""
    plan = tuning_plan(shop, context)
    tuned = launch.run(plan, on_progress=partial(_tell, context), gone=context.gone)
    settings = shop.settings
    uri = artefacts.publish(tuned.folder, settings.adapters_url, tuned.digest, endpoint_url=settings.s3_endpoint_url)
    context.say(f"Adapter {tuned.digest}: {tuned.steps} steps, {tuned.tokens_per_s:.0f} tokens/s.")
    dropped = sum(tuned.tally["dropped"].values())
    context.say(f"{tuned.tally['kept']} exercises kept, {tuned.tally['shortened']} shortened, {dropped} left out.")
    return {
        "adapter": tuned.digest,
        "uri": uri,
        "size_bytes": sum(each.stat().st_size for each in tuned.folder.iterdir()),
        "rank": plan.tuning.rank,
        "steps": tuned.steps,
        "tokens": tuned.tokens,
        "tokens_per_s": round(tuned.tokens_per_s, 1),
        "peak_bytes": tuned.peak_bytes,
        "losses": tuned.losses,
        "dev_losses": tuned.dev_losses,
    }


def tuning_plan(shop: Workshop, context: Context) -> TuningPlan:
    """The tuning of a run. Raises `Misconfigured` for settings that make no adapter."""
    settings, folder = shop.settings, context.folder
    base = model_folder.resolve(settings.model)
    tuning = presets.load(settings.train_preset or ("tiny" if base.name == "sluice-tiny" else "oneke"))
    if tuning.method == "full":
        raise Misconfigured("A run makes an adapter; for full tuning see `sluice tune`. Change SLUICE_TRAIN_PRESET.")
    dev = folder / "dev_records.jsonl"
    return TuningPlan.of(
        {
            "base": base,
            "records": folder / "records.jsonl",
            "dev_records": dev if dev.stat().st_size else None,
            "out": folder / "tuning",
            "start_from": _start(shop, context, tuning),
            "tuning": tuning,
            "device": settings.device,
            "processes": settings.train_processes,
            "deepspeed": settings.train_deepspeed,
            "max_rank": settings.adapter_rank,
        }
    )


def _start(shop: Workshop, context: Context, tuning: Tuning) -> Path | None:
    """The champion's adapter, to go on from; None for a full run, the bare model, or an adapter of another rank."""
    champion = None if context.run.is_full else shop.champion(context.run.scope)
    if champion is None:
        return None
    record = shop.adapters.record(champion)
    if record.rank != tuning.rank:
        context.say(f"The champion has rank {record.rank}, the preset {tuning.rank}: the run begins at the base model.")
        return None
    settings = shop.settings
    return artefacts.fetch(
        record.uri,
        champion,
        context.folder / "adapters",
        max_rank=settings.adapter_rank,
        endpoint_url=settings.s3_endpoint_url,
    )


def _tell(context: Context, at: launch.Progress) -> None:
    context.progress(at.share)
    if at.loss is not None and at.step % max(1, at.steps // 10) == 0:
        context.say(f"step {at.step} of {at.steps}: loss {at.loss:.3f}")
