"""What every command is given: where Redis is, and how to get a client."""

from collections.abc import Callable
from dataclasses import dataclass

import click

from sluice_producer.client import LOCAL_REDIS, Sluice


@dataclass(frozen=True, slots=True)
class Session:
    """The `obj` of the click context, for the commands of plug-ins too."""

    redis_url: str = LOCAL_REDIS
    connect: Callable[[str], Sluice] = Sluice

    def client(self) -> Sluice:
        """Connects when it is first asked something. Raises `Misconfigured` for a URL that cannot serve."""
        return self.connect(self.redis_url)


pass_session = click.make_pass_decorator(Session)
