"""Labels on disk. One that was acknowledged survives whatever happens to the process; none is ever changed."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Select

from sluice_schemas.label import Label, Share, Stored
from sluice_schemas.labels import share as shares
from sluice_schemas.labels.family import sketch
from sluice_schemas.labels.validate import checked
from sluice_schemas.schema import ExtractionSchema
from sluice_schemas.sql import database
from sluice_schemas.sql.tables import families, forms, labels

EVERYTHING = "*"
PAGE = 200
WRITERS_LOCK = 0x51_0C_E0_02
"""PostgreSQL's advisory lock of those who add labels, see `_alone`."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label with its share."""

    label: Label
    share: Share
    label_id: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A label as lists show it; `created_at` is in Unix seconds."""

    id: int
    share: Share
    schema_ref: str
    document_id: str
    verdict: Literal["confirmed", "corrected", "imported"]
    author: str
    job_id: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How many documents of a schema have a label, by share, and how many labels they ever had."""

    schema_ref: str
    train: int
    dev: int
    test: int
    labels: int


class LabelStore:
    """Safe for many threads and processes. Every method raises `Unavailable` when the database does not answer.

    A `scope` is a schema's `id@version`, or "*" for all.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._withheld: set[str] = set()
        self._lock = threading.Lock()

    def add(self, label: Label, *, schema: ExtractionSchema) -> Stored:
        """Keeps a label: it is on disk when this returns. Raises `BadInput` for one that does not fit.

        A newer label of the same text under the same schema takes the place of the older one, which stays in the
        history. The label that is the newest already is not written again.
        """
        label = checked(label, schema)
        self.withhold(schema)
        drawn, row = sketch(label.document.text), _row(label)
        with database.writing(self._engine) as connection:
            _alone(connection)
            share = shares.place(connection, drawn)
            newest = connection.execute(_newest_of(row)).first()
            if newest is not None and newest.body == row["body"]:
                return Stored(newest.id, share, is_new=False)
            insert = labels.insert().values(**row, form=drawn.digest, created_at=time.time()).returning(labels.c.id)
            label_id = connection.execute(insert).scalar_one()
        return Stored(label_id, share)

    def withhold(self, schema: ExtractionSchema) -> int:
        """Sends documents that equal an example of the schema, nearly or not, to training; how many families moved.

        `add` does so by itself. What takes a snapshot does it for schemas that got examples since.
        """
        if not schema.examples or schema.digest in self._withheld:
            return 0
        drawn = [sketch(each.input) for each in schema.examples]
        with database.writing(self._engine) as connection:
            _alone(connection)
            moved = shares.withhold(connection, drawn)
        with self._lock:
            self._withheld.add(schema.digest)
        return moved

    def count_since(self, label_id: int, *, scope: str = EVERYTHING) -> int:
        """How many labels came after that one; all, after 0."""
        query = _of(scope, sa.select(sa.func.count()).select_from(labels)).where(labels.c.id > label_id)
        return self._scalar(query) or 0

    def latest_id(self, scope: str = EVERYTHING) -> int:
        """The newest label; 0 while there is none. Nothing that is added later has a smaller id."""
        return self._scalar(_of(scope, sa.select(sa.func.max(labels.c.id)))) or 0

    def newest_at(self, scope: str = EVERYTHING) -> float | None:
        """When the newest label came, in Unix seconds."""
        moment: float | None = self._scalar(_of(scope, sa.select(sa.func.max(labels.c.created_at))))
        return moment

    def oldest_at(self, scope: str = EVERYTHING) -> float | None:
        """When the first label came, in Unix seconds."""
        moment: float | None = self._scalar(_of(scope, sa.select(sa.func.min(labels.c.created_at))))
        return moment

    def snapshot(self, scope: str = EVERYTHING, *, upto: int | None = None) -> Iterator[Labelled]:
        """The newest label of each text and schema, of those up to the id `upto`, by id.

        The same `upto` gives the same labels for ever; a share may have changed (see `share`).
        """
        last = self.latest_id(scope) if upto is None else upto
        newest = _of(scope, sa.select(sa.func.max(labels.c.id).label("id"))).where(labels.c.id <= last)
        newest_of_each = newest.group_by(labels.c.schema_ref, labels.c.text_digest).subquery()
        columns = sa.select(labels.c.id, families.c.share, labels.c.body)
        query = _joined(columns).join(newest_of_each, newest_of_each.c.id == labels.c.id)
        for row in self._pages(query):
            yield Labelled(Label.decode(row.body), row.share, row.id)

    def entries(
        self,
        scope: str = EVERYTHING,
        *,
        document_id: str | None = None,
        author: str | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """The history, the newest first."""
        names = [each for each in Entry.__slots__ if each != "share"]
        query = _of(scope, _joined(sa.select(families.c.share, *(labels.c[name] for name in names))))
        for column, value in ((labels.c.document_id, document_id), (labels.c.author, author)):
            query = query.where(column == value) if value is not None else query
        with database.reading(self._engine) as connection:
            found = connection.execute(query.order_by(labels.c.id.desc()).limit(limit)).mappings()
            return [Entry(**row) for row in found]

    def tallies(self, scope: str = EVERYTHING) -> list[Tally]:
        """By schema."""
        texts = sa.select(labels.c.schema_ref, labels.c.text_digest, families.c.share, sa.func.count().label("times"))
        grouped = _of(scope, _joined(texts)).group_by(labels.c.schema_ref, labels.c.text_digest, families.c.share)
        each = grouped.subquery()
        by_share = (sa.func.sum(sa.case((each.c.share == share, 1), else_=0)) for share in ("train", "dev", "test"))
        query = sa.select(each.c.schema_ref, *by_share, sa.func.sum(each.c.times)).group_by(each.c.schema_ref)
        with database.reading(self._engine) as connection:
            found = [*connection.execute(query.order_by(each.c.schema_ref))]
        # PostgreSQL's sums are decimals.
        return [Tally(ref, *map(int, numbers)) for ref, *numbers in found]

    def _scalar(self, query: Select[Any]) -> Any:
        with database.reading(self._engine) as connection:
            return connection.scalar(query)

    def _pages(self, query: Select[Any]) -> Iterator[Any]:
        """Page by page, so that no transaction stays open while the caller works on a label."""
        last = 0
        while True:
            with database.reading(self._engine) as connection:
                page = [*connection.execute(query.where(labels.c.id > last).order_by(labels.c.id).limit(PAGE))]
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1].id


def _alone(connection: Connection) -> None:
    """Until the transaction ends nobody else adds labels.

    Two texts that are nearly equal would else come to two shares at once; and an id that is given out later would be
    seen earlier, so that a snapshot could miss a label for ever. SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS_LOCK)))


def _row(label: Label) -> dict[str, Any]:
    return {
        "text_digest": hashlib.sha256(label.document.text.encode()).hexdigest(),
        "schema_ref": label.schema_ref,
        "verdict": label.verdict,
        "author": label.author,
        "document_id": label.document.id,
        "job_id": label.job_id,
        "body": label.encode().decode(),
    }


def _newest_of(row: dict[str, Any]) -> Select[Any]:
    is_same = (labels.c.text_digest == row["text_digest"]) & (labels.c.schema_ref == row["schema_ref"])
    return sa.select(labels.c.id, labels.c.body).where(is_same).order_by(labels.c.id.desc()).limit(1)


def _joined(query: Select[Any]) -> Select[Any]:
    return query.select_from(labels.join(forms).join(families))


def _of(scope: str, query: Select[Any]) -> Select[Any]:
    return query if scope == EVERYTHING else query.where(labels.c.schema_ref == scope)
