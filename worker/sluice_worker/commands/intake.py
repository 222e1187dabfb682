"""`sluice drain` and `sluice resume`: no new documents, for an upgrade or a move, and back."""

import time

import click

from sluice_worker.commands.ledger import opened

LOOK_EVERY_S = 1.0


@click.command()
@click.option("--wait", is_flag=True, help="Until nothing that was accepted is left to do.")
def drain(wait: bool) -> None:
    """Close the intake: services get `Full` and try again later; what was accepted goes on.

    `sluice resume` opens it again.
    """
    with opened() as ledger:
        ledger.close_intake()
        click.echo("The intake is closed; `sluice resume` opens it.")
        told = None
        while wait:
            counts = ledger.counts()
            left = counts.queued + counts.delayed + counts.running, counts.deliveries
            if not any(left):
                click.echo("Nothing is left to do.")
                return
            if left != told:
                click.echo(f"{left[0]} jobs and {left[1]} deliveries are left.")
                told = left
            time.sleep(LOOK_EVERY_S)


@click.command()
def resume() -> None:
    """Open the intake that `sluice drain` closed."""
    with opened() as ledger:
        ledger.open_intake()
    click.echo("The intake is open.")
