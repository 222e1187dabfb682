"""`sluice doctor`: every thing that must be right before a worker starts, and what to do about each that is not."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator

import click

from sluice_schemas.endpoint import EndpointStatus
from sluice_schemas.errors import Misconfigured, Retryable, SluiceError
from sluice_schemas.ledger import connect
from sluice_worker.delivery.signing import Secrets
from sluice_worker.engine import load, model_folder
from sluice_worker.ledger import RedisOutbox
from sluice_worker.process.redis_check import Finding, findings
from sluice_worker.settings import Settings

PACKAGES = ("sluice-ke", "celery", "kombu", "redis", "torch", "transformers")


@click.command(epilog=f"Settings, read from the environment: {', '.join(Settings.names())}, SLUICE_SECRET_<ENDPOINT>.")
def doctor() -> None:
    """Check what a worker needs; say what to do.

    Settings, Redis, model, engine and versions, one line each.

    Exit codes: 0 all well, 1 something must be done.
    """
    found = [*_versions(), *_guarded("settings", _look)]
    for each in found:
        mark = click.style("ok  ", fg="green") if each.is_ok else click.style("FAIL", fg="red")
        click.echo(f"{mark}  {each.name:<18} {each.found}")
        if not each.is_ok:
            width = shutil.get_terminal_size().columns
            click.echo(click.wrap_text(each.advice, width, initial_indent="      ", subsequent_indent="      "))
    sys.exit(0 if all(each.is_ok for each in found) else 1)


def _look() -> list[Finding]:
    """Everything that depends on the settings."""
    settings = Settings.read()
    redis = _guarded("redis", lambda: findings(connect(settings.redis_url)))
    is_reached = all(each.is_ok for each in redis)
    return [
        Finding("settings", True, "valid"),
        *redis,
        *_guarded("model", lambda: [_model(settings)]),
        *_guarded("engine", lambda: [_engine(settings)]),
        *(_guarded("endpoints", lambda: _endpoints(settings)) if is_reached else ()),
    ]


def _guarded(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """A check that cannot be made is a fault of its own."""
    try:
        return look()
    except SluiceError as exc:
        return [Finding(name, False, "no answer" if isinstance(exc, Retryable) else "wrong", str(exc))]


def _versions() -> Iterator[Finding]:
    yield Finding("python", sys.version_info >= (3, 11), sys.version.split()[0], "Sluice needs Python 3.11 or newer.")
    for package in PACKAGES:
        try:
            yield Finding(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(
                package, False, "not installed", "Install Sluice with its worker: pip install 'sluice-ke[worker]'."
            )


def _model(settings: Settings) -> Finding:
    folder = model_folder.resolve(settings.model)
    model_folder.check(folder)
    return Finding("model", True, f"{folder.name}@{model_folder.digest(folder)}")


def _engine(settings: Settings) -> Finding:
    """Which engine, and on what: a device that it may use, or a server (not asked here)."""
    engine = load.kind(settings)
    if engine == "openai":
        return Finding(
            "engine", settings.server_url is not None, f"openai, {settings.server_url}", "Set SLUICE_SERVER_URL."
        )
    from sluice_worker.engine.device import number_format

    device = load.device(settings)
    return Finding("engine", True, f"{engine}, {device}, {number_format(device, settings.dtype)}")


def _endpoints(settings: Settings) -> list[Finding]:
    """What is registered, and whether it could be served from here."""
    from sluice_worker.process.deliverer import make_links

    make_links(settings)
    found = RedisOutbox(connect(settings.redis_url)).endpoints()
    secrets = Secrets(os.environ)
    return [_endpoint(each, secrets) for each in found] or [Finding("endpoints", True, "none")]


def _endpoint(status: EndpointStatus, secrets: Secrets) -> Finding:
    name = status.endpoint.name
    label = f"endpoint {name}"
    if status.state == "disabled":
        return Finding(label, False, "disabled", f"{status.reason} Then: sluice endpoints resume {name}")
    try:
        secrets.of(name)
    except Misconfigured as exc:
        return Finding(label, False, "no secret", str(exc))
    return Finding(label, True, status.state)
