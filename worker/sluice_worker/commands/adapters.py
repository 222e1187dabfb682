"""`sluice adapters`: which adapters there are, which serve, and how to change that."""

import getpass
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import orjson
from redis import Redis

from sluice_schemas.adapter import BASE, EVERYTHING, AdapterRecord, Aliases
from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.ledger import connect
from sluice_schemas.printable import printable
from sluice_worker.adapters import status
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry
from sluice_worker.adapters.registry import AdapterRegistry
from sluice_worker.commands import adapters_view as view
from sluice_worker.settings import Settings

WAIT_S, LOOK_EVERY_S = 10.0, 0.2
NONE = "none"
SHORTEST = 4
"""Digits of a digest that may stand for all of it."""

DIGEST = click.argument("digest")
SCOPE = click.option(
    "--scope", default=EVERYTHING, show_default=True, help="A schema's id@version, or * for all without an own one."
)
NO_WAIT = click.option("--no-wait", is_flag=True, help="Do not wait for the workers to follow.")


@dataclass(frozen=True, slots=True)
class _Desk:
    settings: Settings
    redis: Redis
    registry: AdapterRegistry


@click.group()
def adapters() -> None:
    """See and change which adapters serve.

    In each scope (a schema's id@version, or * for all others) one is the `champion`, which workers serve; `previous`
    served before it, and a `candidate` is tried on a share of the documents, without effect. A digest may be shortened
    to digits that only one has.
    """


@adapters.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, as where standard output is no terminal.")
@click.option("--history", "is_history", is_flag=True, help="Who moved which alias when, the latest first.")
def list_adapters(as_json: bool, is_history: bool) -> None:
    """Show which adapters serve where, which others there are, and which workers cannot follow."""
    with _opened() as desk:
        shown: view.Shown = view.moves(desk.registry.history()) if is_history else _overview(desk)
    if as_json or not sys.stdout.isatty():
        for line in shown.lines():
            click.echo(orjson.dumps(line))
    else:
        shown.print()


@adapters.command()
@DIGEST
def show(digest: str) -> None:
    """Print all that is known of one adapter, as JSON."""
    from sluice_worker.adapters import shadow

    with _opened() as desk:
        record = _record(desk.registry, digest)
        told = view.whole(
            record,
            desk.registry.aliases(),
            status.read(desk.redis),
            shadow.counts(desk.redis, record.digest),
        )
    click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))


@adapters.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@SCOPE
@click.option("--note", default="", help="For people.")
def add(folder: Path, scope: str, note: str) -> None:
    """Check the adapter in FOLDER, put it where workers fetch it, and register it.

    It was trained on the model of SLUICE_MODEL. It serves nothing until it is promoted.
    """
    from sluice_worker.adapters import artefacts
    from sluice_worker.engine import adapters as served
    from sluice_worker.engine import model_folder

    with _opened() as desk:
        _demand_scope(scope, desk)
        settings, model = desk.settings, model_folder.resolve(desk.settings.model)
        digest = served.check(folder, max_rank=settings.adapter_rank)
        fields = {
            "digest": digest,
            "model": f"{model.name}@{model_folder.digest(model)}",
            "scope": scope,
            "made_at": time.time(),
            "rank": orjson.loads((folder / served.CONFIG).read_bytes()).get("r", 0),
            "size_bytes": sum((folder / name).stat().st_size for name in (served.CONFIG, served.WEIGHTS)),
            "note": note,
        }
        AdapterRecord.of({**fields, "uri": ""})  # before anything is uploaded
        uri = artefacts.publish(folder, settings.adapters_url, digest, endpoint_url=settings.s3_endpoint_url)
        desk.registry.register(AdapterRecord.of({**fields, "uri": uri}))
    click.echo(f"{digest} is registered, at {printable(uri)}")


@adapters.command()
@click.argument("named", metavar="DIGEST|base")
@SCOPE
@click.option("--force", is_flag=True, help="Even where the scope is pinned.")
@NO_WAIT
@click.pass_context
def promote(context: click.Context, named: str, scope: str, force: bool, no_wait: bool) -> None:
    """Let an adapter serve, or the bare model.

    Waits until the workers follow, 10 s at most; exit code 1 when one of them does not. Documents that are in work end
    on what they began with.
    """
    with _opened() as desk:
        _demand_scope(scope, desk)
        wanted = BASE if named == BASE else _record(desk.registry, named).digest
        moved = desk.registry.promote(scope, wanted, by=_person(), force=force)
        context.exit(_followed(desk, scope, moved, no_wait=no_wait))


@adapters.command()
@SCOPE
@NO_WAIT
@click.pass_context
def rollback(context: click.Context, scope: str, no_wait: bool) -> None:
    """Let serve what served before. Twice leads back. Waits as `promote` does."""
    with _opened() as desk:
        moved = desk.registry.rollback(scope, by=_person())
        context.exit(_followed(desk, scope, moved, no_wait=no_wait))


@adapters.command()
@SCOPE
def pin(scope: str) -> None:
    """Let no training run move a scope's champion; people still can, with --force."""
    with _opened() as desk:
        _demand_scope(scope, desk)
        pinned = desk.registry.pin(scope, by=_person())
    click.echo(f"{scope} is pinned to {pinned.champion}.")


@adapters.command()
@SCOPE
def unpin(scope: str) -> None:
    """Let training runs move a scope's champion again."""
    with _opened() as desk:
        desk.registry.unpin(scope, by=_person())
    click.echo(f"{scope} is not pinned.")


@adapters.command()
@click.argument("named", metavar="DIGEST|none")
@click.option("--share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of the documents, 0 to 1.")
@SCOPE
def candidate(named: str, share: float, scope: str) -> None:
    """Try an adapter on a share of the documents; its results are compared, never delivered. `none` ends it."""
    with _opened() as desk:
        _demand_scope(scope, desk)
        digest = None if named == NONE else _record(desk.registry, named).digest
        desk.registry.set_candidate(scope, digest, shadow_share=share, by=_person())
    if digest is None:
        click.echo(f"{scope} has no candidate.")
    else:
        click.echo(f"{scope} is also read by {digest}, {share:.0%} of its documents; `sluice adapters list` compares.")


@adapters.command()
@DIGEST
def remove(digest: str) -> None:
    """Forget an adapter that no scope names. Its files stay where they are."""
    with _opened() as desk:
        record = _record(desk.registry, digest)
        desk.registry.remove(record.digest)
    click.echo(f"{record.digest} is forgotten; its files stay at {printable(record.uri)}")


@contextmanager
def _opened() -> Iterator[_Desk]:
    settings = Settings.read()
    with closing(connect(settings.redis_url)) as redis:
        yield _Desk(settings, redis, RedisAdapterRegistry(redis))


def _overview(desk: _Desk) -> view.Overview:
    from sluice_worker.adapters import shadow

    aliases = desk.registry.aliases()
    tried = {each.candidate for each in aliases.values() if each.candidate}
    counted = {digest: shadow.counts(desk.redis, digest) for digest in sorted(tried)}
    return view.Overview(aliases, desk.registry.records(), status.read(desk.redis), counted)


def _record(registry: AdapterRegistry, given: str) -> AdapterRecord:
    """Raises `NotFound`, and `BadInput` for digits that several have."""
    found = [each for each in registry.records() if each.digest.startswith(given)]
    if len(given) < SHORTEST or not found:
        raise NotFound(f"There is no adapter {given[:40]!r}; `sluice adapters list` shows those there are.")
    if len(found) > 1:
        raise BadInput(f"{len(found)} adapters begin with {given}; give more of the digest.")
    return found[0]


def _demand_scope(scope: str, desk: _Desk) -> None:
    """An alias of a misspelt schema would serve nobody, in silence."""
    if scope == EVERYTHING:
        return
    from sluice_schemas.catalogue import Catalogue
    from sluice_worker.ledger import RedisLedger

    Catalogue(RedisLedger(desk.redis)).find(scope)


def _person() -> str:
    return f"person:{getpass.getuser()}"


def _followed(desk: _Desk, scope: str, moved: Aliases, *, no_wait: bool) -> int:
    """Says what serves now, and waits until every live worker does. The exit code."""
    before = f"; before it, {moved.previous}" if moved.previous else ""
    click.echo(f"{scope} is served by {moved.champion}{before}.")
    if no_wait:
        return 0
    late = _late(desk.redis, scope, moved.champion)
    for each in late:
        fault = each.faults.get(moved.champion, "It may still load it; `sluice adapters list` looks again.")
        click.echo(f"error: {printable(each.worker)} does not follow: {printable(fault)}", err=True)
    return 1 if late else 0


def _late(redis: Redis, scope: str, champion: str) -> Sequence[status.WorkerStatus]:
    """Names workers as they follow; those that do not within the time."""
    started, seen = time.monotonic(), set[str]()
    while True:
        workers = status.read(redis)
        late = [each for each in workers if each.serves.get(scope) != champion]
        took_s = time.monotonic() - started
        for each in workers:
            if each not in late and each.worker not in seen:
                seen.add(each.worker)
                click.echo(f"{printable(each.worker)} follows, after {took_s:.1f} s.")
        if not workers and not seen:
            click.echo("No worker is live; the next to start serves it.")
        if not late or took_s > WAIT_S:
            return late
        time.sleep(LOOK_EVERY_S)
