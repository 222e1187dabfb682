"""The command line `sluice`."""

import os
from collections.abc import Sequence
from dataclasses import replace

import click
from click.core import ParameterSource

from sluice_producer.cli.jobs import cancel, result, status
from sluice_producer.cli.plugins import Commands
from sluice_producer.cli.schemas import schemas
from sluice_producer.cli.session import Session
from sluice_producer.cli.submit import submit
from sluice_producer.client import LOCAL_REDIS
from sluice_producer.export.command import export
from sluice_producer.view.command import view

INTERRUPTED = 130
REDIS_VARIABLE = "SLUICE_REDIS_URL"


@click.group("sluice", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--redis",
    "redis_url",
    envvar=REDIS_VARIABLE,
    default=LOCAL_REDIS,
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="Where the ledger is.",
)
@click.version_option(package_name="sluice-ke", message="sluice %(version)s")
@click.pass_context
def sluice(context: click.Context, redis_url: str) -> None:
    """Knowledge out of a stream of documents.

    Exit codes: 0 all well, 1 something failed, 2 wrong usage, 130 interrupted.
    """
    if context.get_parameter_source("redis_url") is ParameterSource.COMMANDLINE:
        # The commands of plug-ins read their settings from the environment; they must mean the same Redis.
        os.environ[REDIS_VARIABLE] = redis_url
    context.obj = replace(context.obj or Session(), redis_url=redis_url)


for command in (submit, result, status, cancel, schemas, view, export):
    sluice.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit code."""
    try:
        code = sluice.main(arguments, prog_name="sluice", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0
