"""Runs in SQL: one active run a scope, a lease and a fence for whoever works on it.

The pattern is that of jobs (row, doorbell, lease, fence); the row stands in SQL, beside the labels that it counts.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from sluice_schemas.errors import Conflict, Lost, NotFound
from sluice_schemas.sql.database import reading, writing
from sluice_schemas.sql.tables import run_lines, run_steps, runs
from sluice_worker.learning.run import Cause, Line, Run, RunClaim, RunState, Step, StepName

MAX_ATTEMPTS = 3
DIALECT_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
}
"""The database's clock, in Unix seconds: trainers on several hosts must agree on when a lease is over."""


class RunStore:
    """Safe for many threads and processes. Every method raises `Unavailable` when the database does not answer.

    What takes a claim raises `Lost` once the run is another's, or cancelled; nothing is written then.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._now = sa.literal_column(DIALECT_NOW[engine.dialect.name], sa.Double)

    def create(self, scope: str, *, cause: Cause, is_full: bool = False) -> Run:
        """Queues a run. Raises `Conflict`, which names the other, while one of the same scope is active."""
        run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        row = {"id": run_id, "scope": scope, "cause": cause, "is_full": is_full, "state": "queued"}
        try:
            with writing(self._engine) as connection:
                connection.execute(runs.insert().values(**row, created_at=self._now))
        except IntegrityError as exc:
            active = next((each for each in self.latest() if each.scope == scope and each.is_active), None)
            name = active.id if active else "of another process"
            raise Conflict(f"The run {name} of scope {scope!r} has not ended; wait for it, or cancel it.") from exc
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """With its steps. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return self._get(connection, run_id)

    def latest(self, limit: int = 100) -> Sequence[Run]:
        """The latest first, with their steps."""
        with reading(self._engine) as connection:
            rows = connection.execute(runs.select().order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit))
            found = [*rows.mappings()]
            steps = self._steps(connection, [row["id"] for row in found])
        return [_run(row, steps.get(row["id"], ())) for row in found]

    def last_snapshot(self, scope: str, *, before: str | None = None) -> Run | None:
        """The latest run of a scope that took a snapshot, `before` aside; one that was cancelled does not count.

        One that failed does: what makes it fail does not mend itself, and a run a minute would be no help.
        """
        is_one = (runs.c.scope == scope) & runs.c.upto_label.is_not(None) & (runs.c.state != "cancelled")
        with reading(self._engine) as connection:
            row = (
                connection.execute(
                    runs.select()
                    .where(is_one, runs.c.id != (before or ""))
                    .order_by(runs.c.upto_label.desc(), runs.c.created_at.desc())
                    .limit(1)
                )
                .mappings()
                .first()
            )
        return _run(row, ()) if row else None

    def claim(self, worker: str, *, lease_s: float) -> RunClaim | None:
        """The oldest run that waits, or whose worker fell silent; None when there is none.

        A run that was taken `MAX_ATTEMPTS` times and never ended has failed.
        """
        while True:
            with writing(self._engine) as connection:
                row = self._next(connection)
                if row is None:
                    return None
                if row["attempts"] < MAX_ATTEMPTS:
                    return self._take(connection, row, worker, lease_s)
                reason = f"It was begun {MAX_ATTEMPTS} times and never came to an end; `sluice runs log` tells how far."
                self._end(connection, row["id"], "failed", reason)

    def renew(self, claim: RunClaim, *, lease_s: float) -> None:
        """The heartbeat."""
        with self._held(claim) as connection:
            connection.execute(self._update(claim).values(leased_until=self._now + lease_s))

    def took_snapshot(self, claim: RunClaim, *, upto_label: int, digest: str) -> None:
        """What this run trains on, for ever."""
        with self._held(claim) as connection:
            connection.execute(self._update(claim).values(upto_label=upto_label, snapshot=digest))

    def begin_step(self, claim: RunClaim, name: StepName) -> None:
        with self._held(claim) as connection:
            mine = (run_steps.c.run_id == claim.run.id) & (run_steps.c.name == name)
            again = run_steps.update().where(mine).values(state="running", share=0.0)
            if not connection.execute(again).rowcount:
                row = {"run_id": claim.run.id, "name": name, "state": "running"}
                connection.execute(run_steps.insert().values(**row, started_at=self._now))

    def progress(self, claim: RunClaim, name: StepName, share: float) -> None:
        with self._held(claim) as connection:
            mine = (run_steps.c.run_id == claim.run.id) & (run_steps.c.name == name)
            connection.execute(run_steps.update().where(mine).values(share=share))

    def end_step(self, claim: RunClaim, name: StepName, detail: dict[str, Any]) -> None:
        with self._held(claim) as connection:
            mine = (run_steps.c.run_id == claim.run.id) & (run_steps.c.name == name)
            values = {"state": "done", "share": 1.0, "detail": orjson.dumps(detail).decode()}
            connection.execute(run_steps.update().where(mine).values(**values, ended_at=self._now))

    def forget_steps(self, claim: RunClaim) -> None:
        """The run begins again: what its steps made is not there any more."""
        with self._held(claim) as connection:
            connection.execute(run_steps.delete().where(run_steps.c.run_id == claim.run.id))

    def say(self, claim: RunClaim, text: str) -> None:
        """One line of the run's log."""
        with self._held(claim) as connection:
            self._say(connection, claim.run.id, text)

    def lines(self, run_id: str, *, after: int = 0) -> list[Line]:
        """What a run said after the line of that number, in order."""
        with reading(self._engine) as connection:
            found = connection.execute(
                run_lines.select().where(run_lines.c.run_id == run_id, run_lines.c.id > after).order_by(run_lines.c.id)
            )
            return [Line(row["id"], row["at"], row["text"]) for row in found.mappings()]

    def end(self, claim: RunClaim, state: RunState, *, reason: str, adapter: str | None = None) -> None:
        """Ends the run."""
        with self._held(claim) as connection:
            self._end(connection, claim.run.id, state, reason, adapter=adapter)

    def release(self, claim: RunClaim, *, reason: str, counts: bool = False) -> None:
        """Lets another have it at once. The attempt counts where the run itself was in the way."""
        with self._held(claim) as connection:
            attempts = runs.c.attempts if counts else runs.c.attempts - 1
            values = {"state": "queued", "worker": None, "leased_until": None, "attempts": attempts, "reason": reason}
            connection.execute(self._update(claim).values(**values))
            self._say(connection, claim.run.id, reason)

    def cancel(self, run_id: str) -> Run:
        """Ends it if it has not ended; whoever works on it stops at the next heartbeat. Raises `NotFound`."""
        with writing(self._engine) as connection:
            if self._get(connection, run_id).is_active:
                self._end(connection, run_id, "cancelled", "It was cancelled.")
        return self.get(run_id)

    def _next(self, connection: Connection) -> Any:
        is_free = (runs.c.state == "queued") | ((runs.c.state == "running") & (runs.c.leased_until < self._now))
        query = runs.select().where(is_free).order_by(runs.c.created_at, runs.c.id).limit(1)
        return connection.execute(query.with_for_update(skip_locked=True)).mappings().first()

    def _take(self, connection: Connection, row: Any, worker: str, lease_s: float) -> RunClaim:
        fence = row["fence"] + 1
        connection.execute(
            runs.update()
            .where(runs.c.id == row["id"])
            .values(
                state="running",
                worker=worker,
                fence=fence,
                attempts=row["attempts"] + 1,
                leased_until=self._now + lease_s,
                started_at=sa.func.coalesce(runs.c.started_at, self._now),
            )
        )
        return RunClaim(self._get(connection, row["id"]), fence)

    def _update(self, claim: RunClaim) -> Any:
        return runs.update().where(runs.c.id == claim.run.id)

    def _end(
        self, connection: Connection, run_id: str, state: RunState, reason: str, *, adapter: str | None = None
    ) -> None:
        values = {"state": state, "reason": reason, "adapter": adapter, "worker": None, "leased_until": None}
        connection.execute(runs.update().where(runs.c.id == run_id).values(**values, ended_at=self._now))
        self._say(connection, run_id, f"{state}: {reason}")

    def _say(self, connection: Connection, run_id: str, text: str) -> None:
        connection.execute(run_lines.insert().values(run_id=run_id, at=self._now, text=text))

    def _get(self, connection: Connection, run_id: str) -> Run:
        row = connection.execute(runs.select().where(runs.c.id == run_id)).mappings().first()
        if row is None:
            raise NotFound(f"There is no run {run_id[:80]!r}; `sluice runs list` shows those there are.")
        return _run(row, self._steps(connection, [run_id]).get(run_id, ()))

    def _steps(self, connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[Step, ...]]:
        query = run_steps.select().where(run_steps.c.run_id.in_(run_ids)).order_by(run_steps.c.started_at)
        found: dict[str, tuple[Step, ...]] = {}
        for row in connection.execute(query).mappings():
            detail = orjson.loads(row["detail"])
            step = Step(row["name"], row["started_at"], row["ended_at"], row["share"], detail)
            found[row["run_id"]] = (*found.get(row["run_id"], ()), step)
        return found

    @contextmanager
    def _held(self, claim: RunClaim) -> Iterator[Connection]:
        """A transaction of the claim's holder: its row stays locked until the end. Raises `Lost`."""
        with writing(self._engine) as connection:
            mine = (runs.c.id == claim.run.id) & (runs.c.fence == claim.fence) & (runs.c.state == "running")
            if not connection.execute(runs.update().where(mine).values(fence=claim.fence)).rowcount:
                raise Lost(f"The run {claim.run.id} is in other hands, or was cancelled.")
            yield connection


def _run(row: Any, steps: tuple[Step, ...]) -> Run:
    names = (
        "id", "scope", "cause", "is_full", "state", "created_at", "started_at", "ended_at", "upto_label", "snapshot",
        "adapter", "attempts", "worker", "reason",
    )  # fmt: skip
    return Run(**{name: row[name] for name in names}, steps=steps)
