"""To which side a document goes: it trains, or it judges. Decided once a family, and stored.

A family is all texts with one normal form, and those that are nearly equal to one of them. Whatever happens to the
constants below, a family keeps the share that is stored. Only one thing moves it: a text that a schema shows to the
model as an example can judge nothing any more, and trains from then on.
"""

import hashlib
import time
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from sluice_schemas.label import Share
from sluice_schemas.labels.family import NEAR, Sketch, similarity
from sluice_schemas.sql.tables import bands, families, forms

TEST, DEV = 0.1, 0.1
"""A tenth each, as is usual: of a thousand documents, enough to tell two models apart; the rest is for training."""
MOST_NEAR = 100
"""So many candidates of those with most bands in common are compared: enough, as the nearest have most."""


class Near(NamedTuple):
    """A family with a text nearly equal to the one in question."""

    similarity: float
    family_id: str
    share: Share


def by_hash(family_id: str) -> Share:
    """The share that a new family gets; the same in every database."""
    point = int.from_bytes(hashlib.sha256(f"share:{family_id}".encode()).digest()[:8]) / 2**64
    if point < TEST:
        return "test"
    return "dev" if point < TEST + DEV else "train"


def place(connection: Connection, sketch: Sketch) -> Share:
    """The share of a text; decides it for one that is new. Nobody else may do so in the meantime."""
    known = sa.select(families.c.share).join_from(forms, families).where(forms.c.digest == sketch.digest)
    if share := connection.scalar(known):
        return share  # type: ignore[no-any-return]
    if found := _near(connection, sketch):
        _remember(connection, sketch, found[0].family_id)
        return found[0].share
    share = by_hash(sketch.digest)
    _add_family(connection, sketch, share, reason="hash")
    return share


def withhold(connection: Connection, examples: Iterable[Sketch]) -> int:
    """Sends what equals an example, nearly or not, to training for good; how many families left another share."""
    moved = 0
    for sketch in examples:
        found = _near(connection, sketch)
        if found:
            _remember(connection, sketch, found[0].family_id)
        else:
            _add_family(connection, sketch, "train", reason="example")
        for each in found:
            if each.share != "train":
                values = {"share": "train", "reason": "example", "left_share": each.share, "decided_at": time.time()}
                connection.execute(families.update().where(families.c.id == each.family_id).values(values))
                moved += 1
    return moved


def _near(connection: Connection, sketch: Sketch) -> list[Near]:
    """The families of a text, the nearest first: its own, if it has one, and those of texts nearly equal."""
    common = (
        sa.select(bands.c.form)
        .where(bands.c.band.in_(sketch.bands))
        .group_by(bands.c.form)
        .order_by(sa.func.count().desc(), bands.c.form)
        .limit(MOST_NEAR)
        .subquery()
    )
    query = sa.select(forms.c.signature, families.c.id, families.c.share).join_from(forms, families).join(common)
    found = [Near(similarity(row[0], sketch.signature), row[1], row[2]) for row in connection.execute(query)]
    nearest = sorted(found, key=lambda each: (-each.similarity, each.family_id))
    by_family: dict[str, Near] = {}
    for each in nearest:
        if each.similarity >= NEAR:
            by_family.setdefault(each.family_id, each)
    return [*by_family.values()]


def _add_family(connection: Connection, sketch: Sketch, share: Share, *, reason: str) -> None:
    values = {"id": sketch.digest, "share": share, "reason": reason, "decided_at": time.time()}
    connection.execute(families.insert().values(values))
    _remember(connection, sketch, sketch.digest)


def _remember(connection: Connection, sketch: Sketch, family_id: str) -> None:
    if connection.scalar(sa.select(forms.c.digest).where(forms.c.digest == sketch.digest)):
        return
    row = {"digest": sketch.digest, "family_id": family_id, "signature": sketch.signature}
    connection.execute(forms.insert().values(row))
    connection.execute(bands.insert(), [{"band": band, "form": sketch.digest} for band in sketch.bands])
