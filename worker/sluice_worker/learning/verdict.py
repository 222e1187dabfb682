"""The steps that decide: champion and challenger on the same documents, the gate, and what becomes of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson

from sluice_schemas.adapter import BASE, AdapterRecord
from sluice_schemas.errors import Conflict
from sluice_schemas.label import Label
from sluice_schemas.whole_file import whole_file
from sluice_worker.adapters import artefacts
from sluice_worker.engine import load
from sluice_worker.engine.request import Engine
from sluice_worker.evaluation import gate, golden_set, report, trial
from sluice_worker.evaluation.gate import GateRules
from sluice_worker.evaluation.report import Past, Story
from sluice_worker.evaluation.serve import Case
from sluice_worker.evaluation.trial import Trial
from sluice_worker.learning import snapshot
from sluice_worker.learning.conductor import Context, Ended
from sluice_worker.learning.steps import LABELS, Workshop

Role = Literal["champion", "challenger"]
Kind = Literal["test", "golden"]
ROLES: tuple[Role, ...] = ("champion", "challenger")
PAST_RUNS = 20


def evaluate(shop: Workshop, context: Context) -> dict[str, Any]:
    """Champion and challenger through the serving path, on the same documents, by the same engine."""
    kinds = _kinds(shop, context)
    todo = [(role, kind) for role in ROLES for kind in kinds if not _path(context, role, kind).is_file()]
    serving = shop.champion(context.run.scope)
    adapters = {"champion": serving, "challenger": context.detail("train")["adapter"]}
    with _engine(shop) as engine:
        for i, (role, kind) in enumerate(todo):
            _try(shop, context, engine, kinds[kind], adapters[role], _path(context, role, kind), (i, len(todo)))
    for role in ROLES:
        context.say(f"{role} {adapters[role] or BASE}: {_told(_read(context, role, 'test'))}")
    return {"champion": serving or BASE, "challenger": adapters["challenger"]}


def judge(shop: Workshop, context: Context) -> dict[str, Any]:
    """The gate, and the report."""
    settings = shop.settings
    champion, challenger = (_read(context, role, "test") for role in ROLES)
    golden = tuple(_read(context, role, "golden") for role in ROLES) if settings.golden_set else None
    decision = gate.decide(
        champion,
        challenger,
        golden=golden,  # type: ignore[arg-type]
        rules=GateRules.of(settings),
    )
    for each in decision.checks:
        context.say(f"{'passed' if each.is_passed else 'FAILED'}  {each.sentence}")
    scores = {"champion": overall(champion), "challenger": overall(challenger)}
    story = _story(shop, context, scores, "promoted" if decision.is_better else "rejected")
    _, page = report.write(
        context.folder,
        story,
        champion=champion,
        challenger=challenger,
        decision=decision,
        golden=golden,  # type: ignore[arg-type]
    )
    context.say(f"The report is {page}")
    return {"is_better": decision.is_better, "reason": decision.reason, "report": str(page), **scores}


def promote(shop: Workshop, context: Context) -> dict[str, Any]:
    """Registers the adapter, and moves the alias to it if the gate let it through. Always ends the run."""
    trained, verdict = context.detail("train"), context.detail("gate")
    adapter, scope = trained["adapter"], context.run.scope
    shop.adapters.register(
        AdapterRecord(
            digest=adapter,
            model=_read(context, "challenger", "test").model,
            uri=trained["uri"],
            scope=scope,
            run_id=context.run.id,
            made_at=context.run.created_at,
            rank=trained["rank"],
            size_bytes=trained["size_bytes"],
            scores={name: verdict[name] / 100 for name in ROLES},
        )
    )
    if not verdict["is_better"]:
        raise Ended("rejected", verdict["reason"], adapter=adapter)
    # Another may have taken the run since, or a person cancelled it: then this must move nothing.
    context.demand()
    shop.runs.renew(context.claim, lease_s=shop.settings.run_lease_s)
    try:
        # If the one that the challenger was judged against still serves.
        judged_against = context.detail("evaluate")["champion"]
        moved = shop.adapters.promote(scope, adapter, by=f"run:{context.run.id}", expected=judged_against)
    except Conflict as exc:
        raise Ended("rejected", f"It is better, and was not promoted: {exc}", adapter=adapter) from exc
    raise Ended("promoted", f"{verdict['reason']} Before it served {moved.previous}.", adapter=adapter)


def overall(found: Trial) -> float:
    """F1 in percent, pooled over schemas and levels."""
    return round(trial.f1([row for each in found.schemas.values() for rows in each.rows.values() for row in rows]), 2)


def _kinds(shop: Workshop, context: Context) -> dict[Kind, dict[str, list[Case]]]:
    tests = [each.label for each in snapshot.read(context.folder / LABELS, "test")]
    frozen = shop.golden()
    kinds: dict[Kind, Sequence[Label]] = {"test": tests, **({"golden": frozen} if frozen else {})}
    return {kind: _cases(shop, labels) for kind, labels in kinds.items()}


def _cases(shop: Workshop, labels: Sequence[Label]) -> dict[str, list[Case]]:
    refs = dict.fromkeys(each.schema_ref for each in labels)
    return trial.cases_of(labels, {ref: shop.catalogue.find(ref) for ref in refs})


@contextmanager
def _engine(shop: Workshop) -> Iterator[Engine]:
    """As a worker has it: the same engine, number format and limits."""
    engine = load.load(shop.settings)
    try:
        yield engine
    finally:
        engine.close()


def _try(
    shop: Workshop,
    context: Context,
    engine: Engine,
    cases: Mapping[str, Sequence[Case]],
    adapter: str | None,
    path: Path,
    place: tuple[int, int],
) -> None:
    """One trial, written down whole: it is not done again after a kill."""
    begun, of = place

    told = -1.0

    def tell(share: float) -> None:
        nonlocal told
        context.demand()
        # The database need not hear of every document.
        if share - told >= 0.02 or share >= 1.0:
            told = share
            context.progress((begun + share) / of)

    if adapter:
        folder = _fetched(shop, context, adapter)
        engine.load_adapter(folder)
    found = trial.run(engine, cases, limits=load.limits(shop.settings, engine.card), adapter=adapter, on_progress=tell)
    with whole_file(path) as file:
        file.write(orjson.dumps(found.as_json()))


def _fetched(shop: Workshop, context: Context, adapter: str) -> Path:
    """From where workers get it, so that what is judged is what would serve."""
    trained = context.detail("train")
    uri = trained["uri"] if adapter == trained["adapter"] else shop.adapters.record(adapter).uri
    settings = shop.settings
    return artefacts.fetch(
        uri,
        adapter,
        context.folder / "adapters",
        max_rank=settings.adapter_rank,
        endpoint_url=settings.s3_endpoint_url,
    )


def _path(context: Context, role: Role, kind: Kind) -> Path:
    return context.folder / f"{role}.{kind}.json"


def _read(context: Context, role: Role, kind: Kind) -> Trial:
    return Trial.of_json(orjson.loads(_path(context, role, kind).read_bytes()))


def _told(found: Trial) -> str:
    documents = sum(each.documents for each in found.schemas.values())
    return f"F1 {overall(found):.2f} on {documents} documents"


def _story(shop: Workshop, context: Context, scores: Mapping[str, float], state: str) -> Story:
    run, taken, trained = context.run, context.detail("snapshot"), context.detail("train")
    mixed = context.detail("convert")
    facts = {
        "Scope": run.scope,
        "Labels": f"{taken['train']} to train on, {taken['dev']} to watch, {taken['test']} to judge by",
        "Snapshot": taken["digest"],
        "Records": f"{mixed['new']} of new labels, {mixed['replayed']} of what was learned before",
        **({"Golden set": golden_set.digest(path)} if (path := shop.settings.golden_set) else {}),
        "Champion": context.detail("evaluate")["champion"],
        "Challenger": trained["adapter"],
        "Training": f"{trained['steps']} steps, {trained['tokens']:,} tokens, {trained['tokens_per_s']:,} tokens/s, "
        f"{trained['peak_bytes'] / 1e9:.1f} GB at most",
    }
    now = Past(run.id, scores["champion"], scores["challenger"], state)
    return Story(run.id, run.scope, facts, trained["losses"], trained["dev_losses"], [*_history(shop, run.id), now])


def _history(shop: Workshop, run_id: str) -> list[Past]:
    """Earlier runs that came to a verdict, the oldest first."""
    found = []
    for run in reversed(shop.runs.latest(PAST_RUNS)):
        verdict = run.step("gate").detail
        if run.id != run_id and verdict:
            found.append(Past(run.id, verdict["champion"], verdict["challenger"], run.state))
    return found
