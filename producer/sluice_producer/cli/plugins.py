"""The group of all commands: our own, and those that installed extras bring in as entry points."""

import errno
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any

import click

from sluice_schemas.errors import Misconfigured, SluiceError

GROUP = "sluice.commands"


class Refusal(click.ClickException):
    """One line for people, exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {' '.join(self.message.split())}", err=True)


def installed() -> Iterable[metadata.EntryPoint]:
    return metadata.entry_points(group=GROUP)


class Commands(click.Group):
    """Finds plug-ins when a command or the list of them is asked for, and turns Sluice's errors into one line.

    An entry point that names an extra is listed only where all that the extra requires is installed.
    """

    def __init__(
        self, *args: Any, find: Callable[[], Iterable[metadata.EntryPoint]] = installed, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._find = find

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = {each.name for each in self._find() if not missing(each)}
        return [*self.commands, *sorted(found - self.commands.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if own := self.commands.get(cmd_name):
            return own
        return next((load(each) for each in self._find() if each.name == cmd_name), None)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SluiceError as exc:
            raise Refusal(str(exc)) from exc
        except OSError as exc:
            if exc.errno == errno.EPIPE:
                raise
            raise Refusal(f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}") from exc


def missing(entry: metadata.EntryPoint) -> list[str]:
    """The distributions that an entry point's extras require and that are not installed."""
    required = (entry.dist.requires if entry.dist else None) or []
    wanted = [each for each in required for extra in entry.extras if _is_of(extra, each)]
    names = [match[0] for each in wanted if (match := re.match(r"[\w.-]+", each))]
    return [name for name in names if not _is_installed(name)]


def load(entry: metadata.EntryPoint) -> click.Command:
    """The command, or one in its place that says why it cannot run."""
    if lacking := missing(entry):
        extras = ",".join(entry.extras)
        return _refusing(
            entry,
            f"`sluice {entry.name}` needs {', '.join(lacking)}, not installed here. "
            f"Run: pip install 'sluice-ke[{extras}]'",
        )
    try:
        command = entry.load()
    except Exception as exc:  # a plug-in may fail in any way while it is imported; the other commands still work
        return _refusing(entry, f"`sluice {entry.name}` cannot be loaded. {type(exc).__name__}: {exc}")
    if not isinstance(command, click.Command):
        return _refusing(entry, f"`sluice {entry.name}` cannot be loaded: {entry.value} is no click command.")
    return command


def _refusing(entry: metadata.EntryPoint, reason: str) -> click.Command:
    def refuse(**_: object) -> None:
        raise Misconfigured(reason)

    return click.Command(
        entry.name,
        callback=refuse,
        short_help="(cannot run; call it to see why)",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
    )


def _is_of(extra: str, requirement: str) -> bool:
    return re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", requirement) is not None


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
