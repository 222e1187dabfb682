"""`sluice export`: results in the form that another program takes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import click

from sluice_producer.export import facts, graph
from sluice_producer.view.command import BadLine, read
from sluice_producer.view.table import plain
from sluice_schemas.extraction import Extraction
from sluice_schemas.whole_file import whole_file

Format = Callable[[Iterable[Extraction]], Iterator[bytes]]
FORMATS: Mapping[str, Format] = {
    "jsonld": graph.json_ld,
    "nquads": graph.n_quads,
    "cypher": graph.cypher,
    "csv": facts.table,
    "jsonl": facts.jsonl,
}


@click.command()
@click.argument("results", type=click.File("rb"), metavar="RESULTS.jsonl")
@click.option("--format", "name", type=click.Choice([*FORMATS]), required=True, help="The form.")
@click.option("--out", "target", type=click.Path(dir_okay=False, path_type=Path), help="A file; else standard output.")
@click.pass_context
def export(context: click.Context, results: BinaryIO, name: str, target: Path | None) -> None:
    """Write results as a graph, a table or statements for Neo4j.

    JSON-LD, N-Quads, Cypher, CSV, or a line for each value of each fact. RESULTS.jsonl has one result a line, as
    `sluice submit --out` writes them; `-` reads standard input. Lines that cannot be read are named, the rest is
    written, and the exit code is then 1.
    """
    bad: list[BadLine] = []
    written = FORMATS[name](_sound(read(results), bad))
    if target is None:
        for part in written:
            click.echo(part, nl=False)
    else:
        with whole_file(target) as out:
            out.writelines(written)
    for fault in bad:
        click.echo(plain(str(fault)), err=True)
    context.exit(1 if bad else 0)


def _sound(lines: Iterable[Extraction | BadLine], bad: list[BadLine]) -> Iterator[Extraction]:
    for each in lines:
        if isinstance(each, BadLine):
            bad.append(each)
        else:
            yield each
