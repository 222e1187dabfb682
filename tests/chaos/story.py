"""What happens to a run: a seeded series of misfortunes, each by its name."""

import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from chaos.stage import LEASE_S, Stage
from chaos.worker import POINTS

from sluice_producer import Sluice

Misfortune = Callable[[Stage, random.Random], None]


def kill_worker(on: Stage, chance: random.Random) -> None:
    on.fleet.kill("worker", chance)


def kill_deliverer(on: Stage, chance: random.Random) -> None:
    on.fleet.kill("deliver", chance)


def freeze_worker(on: Stage, chance: random.Random) -> None:
    """Its leases run out while it sleeps; then two have what was one's."""
    on.fleet.freeze(2 * LEASE_S, chance)


def kill_redis(on: Stage, chance: random.Random) -> None:
    on.server.kill()
    time.sleep(chance.uniform(0.2, 2))
    on.server.start()


def pause_redis(on: Stage, chance: random.Random) -> None:
    on.server.signal(signal.SIGSTOP)
    time.sleep(20)
    on.server.signal(signal.SIGCONT)


def fill_redis(on: Stage, chance: random.Random) -> None:
    """Redis is out of memory for five seconds."""
    on.redis.config_set("maxmemory", 1)
    time.sleep(5)
    on.redis.config_set("maxmemory", 0)


def reset_connections(on: Stage, chance: random.Random) -> None:
    on.proxy.reset()


def swallow_connections(on: Stage, chance: random.Random) -> None:
    """All connections are half-open from now on."""
    on.proxy.swallow()


def black_hole(on: Stage, chance: random.Random) -> None:
    on.proxy.weather = "blackhole"
    time.sleep(chance.uniform(4, 8))
    on.proxy.weather = "fair"
    # What was swallowed leaves streams out of step; a network that comes back resets them.
    on.proxy.reset()


def slow_network(on: Stage, chance: random.Random) -> None:
    on.proxy.weather = "delay"
    time.sleep(6)
    on.proxy.weather = "fair"


def trickle(on: Stage, chance: random.Random) -> None:
    on.proxy.weather = "trickle"
    time.sleep(6)
    on.proxy.weather = "fair"


def receiver_down(on: Stage, chance: random.Random) -> None:
    on.receiver.is_down = True
    time.sleep(5)
    on.receiver.is_down = False


def wrong_clock(on: Stage, chance: random.Random) -> None:
    """The next worker lives an hour in the past or in the future."""
    on.fleet.kill("worker", chance, CHAOS_CLOCK_S=chance.choice(("3600", "-3600")))


def cancel_some(on: Stage, chance: random.Random) -> None:
    """The latest ones, while they wait or run; whoever had ended keeps its end."""
    with Sluice(on.server.url) as client:
        for _ in range(20):
            for job_id in [*on.accepted.values()][-1:]:
                client.cancel(job_id)
            time.sleep(0.1)


def two_sweepers(on: Stage, chance: random.Random) -> None:
    """The lock that keeps sweeps apart goes away again and again."""
    for _ in range(100):
        on.redis.delete("{sluice}:sweeping")
        time.sleep(0.02)


def at(point: str) -> Misfortune:
    """A worker or deliverer dies when it next comes by a fail point, some documents after its start."""

    def misfortune(on: Stage, chance: random.Random) -> None:
        role = "deliver" if point == "after_2xx" else "worker"
        on.fleet.kill(role, chance, CHAOS_POINT=f"{point}:{chance.randint(3, 30)}")

    misfortune.__name__ = f"die_{point}"
    return misfortune


ALL: Mapping[str, Misfortune] = {
    each.__name__: each
    for each in (
        kill_worker,
        kill_deliverer,
        freeze_worker,
        kill_redis,
        pause_redis,
        fill_redis,
        reset_connections,
        swallow_connections,
        black_hole,
        slow_network,
        trickle,
        receiver_down,
        wrong_clock,
        cancel_some,
        two_sweepers,
        *(at(point) for point in POINTS),
    )
}
ONCE = ("pause_redis",)


def shuffled(seed: int, *, rounds: int) -> Iterator[str]:
    """Every misfortune `rounds` times in a seeded order, those that take long once."""
    names = [name for name in ALL for _ in range(1 if name in ONCE else rounds)]
    random.Random(seed).shuffle(names)
    return iter(names)


def endless(seed: int) -> Iterator[str]:
    """Round after round, each in an order of its own."""
    return itertools.chain.from_iterable(shuffled(seed + n, rounds=2) for n in itertools.count())


def tell(
    on: Stage,
    names: Iterable[str],
    *,
    seed: int,
    until: float = float("inf"),
    pause_s: tuple[float, float] = (1.0, 3.0),
) -> dict[str, int]:
    """Lets them happen one after the other until a time (monotonic); how often each happened."""
    chance, happened = random.Random(seed), Counter[str]()
    for name in names:
        if time.monotonic() > until:
            break
        time.sleep(chance.uniform(*pause_s))
        ALL[name](on, chance)
        happened[name] += 1
    return dict(happened)
