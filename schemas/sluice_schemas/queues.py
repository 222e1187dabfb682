"""Names of queues and tasks, and the doorbell: a message that says only that the ledger has something to do."""

import threading
import uuid
from typing import Any, Literal, NamedTuple, Protocol

from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from sluice_schemas.errors import Unavailable
from sluice_schemas.redis_access import checked

Group = Literal["extract", "deliver", "train"]

EXTRACT_TASK = "sluice.extract"
DELIVER_TASK = "sluice.deliver"
TRAIN_TASK = "sluice.train"
CANARY_TASK = "sluice.canary"
BROKER_PREFIX = "sluice:"
"""All keys of the broker begin with it, so that another Celery app may share the database."""
TRAIN_PREFIX = "sluice.train:"
"""The same for training, whose workers share nothing with those that serve."""
EXTRACT_QUEUE = "sluice.extract"
DELIVER_QUEUE = "sluice.deliver"
TRAIN_QUEUE = "sluice.train"

RETRIES = {"max_retries": 3, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5}


class Bell(NamedTuple):
    """Which task, on which queue, with which argument."""

    task: str
    queue: str
    id: str = ""


JOB_BELL = Bell(EXTRACT_TASK, EXTRACT_QUEUE)
"""Any job's doorbell: the worker that hears it asks the ledger whose turn it is."""

DELIVERY_BELL = Bell(DELIVER_TASK, DELIVER_QUEUE)
"""Any delivery's, likewise."""

TRAIN_BELL = Bell(TRAIN_TASK, TRAIN_QUEUE)
"""Says to a trainer that a run may wait, or be due."""


def canary_queue(worker: str) -> str:
    """The queue on which a process rings for itself, to know that it still hears."""
    return f"sluice.canary.{worker}"


def queues_of(group: Group) -> list[Queue]:
    """The queues a worker of the group consumes, declared as Celery would."""
    name = {"extract": EXTRACT_QUEUE, "deliver": DELIVER_QUEUE, "train": TRAIN_QUEUE}[group]
    return [Queue(name, routing_key=name)]


def prefix_of(group: Group) -> str:
    """What all keys of a group's broker begin with."""
    return TRAIN_PREFIX if group == "train" else BROKER_PREFIX


def broker_options(group: Group) -> dict[str, Any]:
    """kombu's transport options, for the workers of a group; a doorbell needs only its prefix.

    Each group has its own unacked keys: where they are shared, the shortest visibility timeout wins for all, and
    all other Celery apps are kept apart by the key prefix. The timeout itself matters little: a doorbell is
    acknowledged on receipt, and one that is rung twice is dropped by the ledger.
    """
    return {
        "global_keyprefix": prefix_of(group),
        "unacked_key": f"unacked.{group}",
        "unacked_index_key": f"unacked_index.{group}",
        "unacked_mutex_key": f"unacked_mutex.{group}",
        "visibility_timeout": 600,
        # A half-open socket ends a command after the timeout, and the wait for a doorbell after twice the interval.
        "socket_keepalive": True,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "health_check_interval": 10,
        "retry_on_timeout": True,
    }


class Doorbell(Protocol):
    """Tells a worker that a row waits. It may fail or be lost at no cost but time: the sweeper rings again."""

    def ring(self, task: str, queue: str, id: str) -> None:
        """Raises `Unavailable` when the message could not be sent; the row stays accepted all the same."""

    def waiting(self, queue: str) -> int:
        """How many bells of a queue no worker has heard yet. Raises `Unavailable`."""


class SilentDoorbell:
    """Rings nowhere and remembers what was rung, in order."""

    def __init__(self) -> None:
        self.rung: list[Bell] = []

    def ring(self, task: str, queue: str, id: str) -> None:
        self.rung.append(Bell(task, queue, id))

    def waiting(self, queue: str) -> int:
        return 0


class CeleryDoorbell:
    """Publishes Celery messages with kombu alone, so that a producer needs no Celery. Safe for many threads."""

    def __init__(self, url: str, group: Group = "extract") -> None:
        """Rings where workers of the group hear it; those that extract and those that deliver share one place."""
        # Without these kombu would wait for ever for its first channel.
        options = broker_options(group) | RETRIES
        self._connection = Connection(checked(url), transport_options=options)
        self._errors = (
            OperationalError,
            *self._connection.connection_errors,
            *self._connection.channel_errors,
        )
        self._lock = threading.Lock()

    def ring(self, task: str, queue: str, id: str) -> None:
        """Puts the message straight onto the queue (the default exchange), where it waits for its worker.

        A kombu channel serves one thread at a time; a doorbell takes well under a millisecond, hence the lock.
        """
        body, headers = message(task, id)
        try:
            with self._lock, self._connection.Producer(auto_declare=False) as producer:
                producer.publish(
                    body,
                    exchange="",
                    routing_key=queue,
                    headers=headers,
                    correlation_id=headers["id"],
                    reply_to="",
                    serializer="json",
                    delivery_mode="transient",
                    retry=True,
                    retry_policy=RETRIES,
                )
        except self._errors as exc:
            raise Unavailable("A doorbell could not be rung; the sweeper will ring it again.") from exc

    def waiting(self, queue: str) -> int:
        try:
            with self._lock:
                # Not passively: kombu 5.7 forgets its key prefix when it looks whether a queue exists.
                declared = Queue(queue).bind(self._connection.default_channel).queue_declare()
            return int(declared.message_count)
        except self._errors as exc:
            raise Unavailable("The doorbells that wait could not be counted.") from exc

    def close(self) -> None:
        self._connection.release()


def message(task: str, id: str) -> tuple[list[Any], dict[str, Any]]:
    """Body and headers of a Celery task message, protocol 2 (Celery's documentation, "Message Protocol")."""
    message_id = str(uuid.uuid4())
    args = (id,) if id else ()
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    headers = {
        "lang": "py",
        "task": task,
        "id": message_id,
        "root_id": message_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": repr(args),
        "kwargsrepr": "{}",
        "origin": "sluice",
        "ignore_result": True,
    }
    return [[*args], {}, embed], headers
