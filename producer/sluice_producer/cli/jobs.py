"""`sluice result`, `status` and `cancel`: one job."""

import click

from sluice_producer.cli.session import Session, pass_session
from sluice_producer.cli.show import show_extraction, show_job


@click.command()
@click.argument("job_id")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="S", help="Wait at most S seconds.")
@pass_session
def result(session: Session, job_id: str, timeout_s: float | None) -> None:
    """Print a job's result; wait until there is one."""
    with session.client() as client:
        show_extraction(client.result(job_id, timeout_s=timeout_s))


@click.command()
@click.argument("job_id")
@pass_session
def status(session: Session, job_id: str) -> None:
    """Print a job as it stands."""
    with session.client() as client:
        show_job(client.job(job_id))


@click.command()
@click.argument("job_id")
@pass_session
@click.pass_context
def cancel(context: click.Context, session: Session, job_id: str) -> None:
    """End a job if it has not ended.

    Exit code 1 when it had ended before, in another way.
    """
    with session.client() as client:
        job = client.cancel(job_id)
    show_job(job)
    if job.state != "cancelled":
        click.echo(f"Job {job.id} had ended before: it is {job.state}.", err=True)
        context.exit(1)
