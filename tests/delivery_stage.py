"""A courier with deliveries to make, from the outbox in memory, and the secrets that it signs with."""

import base64
from typing import Any

import httpx
from ledger_stage import Clock, Stage, endpoint, memory_stage

from sluice_schemas.ledger import Outbox
from sluice_worker.delivery.courier import Courier
from sluice_worker.delivery.signing import Secrets

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
OTHER = f"whsec_{base64.b64encode(b'o' * 32).decode()}"
LATER_S = 200_000.0
"""Longer than any endpoint is left alone and any delivery waits."""


class Office:
    """Some jobs have ended, each with a webhook for the endpoint `kb`, which is what `about` says."""

    def __init__(self, jobs: int = 1, **about: Any) -> None:
        self.clock = Clock()
        self.stage: Stage = memory_stage(self.clock)
        self.secrets = {"SLUICE_SECRET_KB": SECRET}
        self.tries = 3
        self.rung = 0
        self.set(**about)
        for number in range(jobs):
            self.stage.committed(f"{number:03}")

    def set(self, **about: Any) -> None:
        self.stage.outbox.add_endpoint(endpoint("kb", **about), replace=True)

    def courier(self, client: httpx.Client, *, outbox: Outbox | None = None, **options: Any) -> Courier:
        def ring() -> None:
            self.rung += 1

        schedule_s = (60.0,) * (self.tries - 1)
        return Courier(
            outbox or self.stage.outbox, Secrets(self.secrets), client, "c", schedule_s, ring=ring, **options
        )

    def later(self) -> None:
        """So late that whatever waits is due."""
        self.clock.now += LATER_S
        self.stage.sweep()

    def is_over(self) -> bool:
        return self.stage.worker.counts().deliveries == 0
