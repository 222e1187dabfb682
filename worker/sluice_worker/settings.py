"""Every setting of the worker side: read once at start from the environment, checked, then passed down."""

import difflib
import os
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from sluice_schemas.errors import Misconfigured
from sluice_schemas.wire import describe
from sluice_worker.delivery.schedule import SCHEDULE_S
from sluice_worker.delivery.signing import SECRET_PREFIX

PREFIX = "SLUICE_"
# Read by the test suite, by the knowledge base and by the gateway; named here so that a misspelt setting is still an
# error.
FOREIGN = frozenset({"SLUICE_GOLDEN", "SLUICE_KNOWLEDGE_SECRET", "SLUICE_KNOWLEDGE_LINKS", "SLUICE_LABELSTUDIO_TOKEN"})


class Settings(BaseSettings):
    """Defaults are what production should run. Times are in seconds, sizes in tokens unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    # Not in the repr: the URL may hold a password.
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)
    model: str = "sluice-tiny"
    # auto: vLLM on a GPU where it is installed, else Transformers.
    engine: Literal["auto", "transformers", "vllm", "openai"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # auto: bfloat16, but float32 on a CPU that has no instructions for it.
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    # nf4 on Transformers; fp8, int8 and awq on vLLM.
    quantization: Literal["none", "nf4", "fp8", "int8", "awq"] = "none"
    # Documents in work at once: 64 fill a batch a fifth to a quarter better than 16 (`make bench`, letter g).
    threads: int = Field(default=64, ge=1, le=512)
    # Prompts and reserved answers at once; unset is what the engine does best with.
    batch_tokens: int | None = Field(default=None, ge=256)
    max_sequences: int = Field(default=256, ge=1)
    max_adapters: int = Field(default=4, ge=0)
    adapter_rank: int = Field(default=64, ge=1)
    speculation: Literal["none", "ngram", "suffix"] = "none"
    tensor_parallel: int = Field(default=1, ge=1)
    memory_share: float = Field(default=0.9, gt=0, lt=1)
    cache_bytes: int | None = Field(default=None, ge=1 << 20)
    # Of the engine `openai`. The key is a secret and not in the repr; the URL, which logs show, may hold none.
    server_url: str | None = Field(default=None, pattern=r"^https?://[^@/?#]+(/[^@?#]*)?$")
    server_model: str | None = None
    server_key: SecretStr | None = None
    server_timeout_s: float = Field(default=120.0, gt=0)
    server_retries: int = Field(default=4, ge=0)
    chunk_tokens: int | None = Field(default=None, ge=16)
    overlap_tokens: int = Field(default=32, ge=0)
    answer_tokens: int | None = Field(default=None, ge=16)
    lease_s: float = Field(default=15.0, gt=0)
    grace_s: float = Field(default=30.0, ge=0)
    sweep_every_s: float = Field(default=2.0, gt=0)
    # A worker that hears nothing, or whose engine answers nothing, for so long ends itself.
    deaf_s: float = Field(default=60.0, gt=0)
    stuck_s: float = Field(default=600.0, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    backlog_jobs: int = Field(default=100_000, ge=1)
    backlog_bytes: int = Field(default=1 << 30, ge=1)
    backlog_deliveries: int = Field(default=100_000, ge=1)
    # How classes of priority share what is worked on, each against the sum of those in which something waits.
    interactive_weight: float = Field(default=16.0, gt=0)
    bulk_weight: float = Field(default=4.0, gt=0)
    replay_weight: float = Field(default=1.0, gt=0)
    result_ttl_s: int = Field(default=7 * 86_400, ge=60)
    # A post in all. Addresses that are not public are refused unless they lie in one of the networks (CIDR).
    delivery_timeout_s: float = Field(default=15.0, gt=0)
    delivery_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    # The waits after each try that failed; one try more than there are waits.
    delivery_schedule_s: tuple[Annotated[float, Field(ge=0)], ...] = SCHEDULE_S
    # An endpoint that fails five times in a row is left alone for so long, then for twice as long, up to half an hour.
    delivery_breaker_s: float = Field(default=30.0, gt=0)
    # After so long without a success it is disabled.
    delivery_disable_s: float = Field(default=5 * 86_400.0, gt=0)
    # Where receivers reach the gateway, and what signs links to it: together they let large events go as links.
    link_url: str | None = Field(default=None, pattern=r"^https?://[^@/?#]+(/[^@?#]*)?$")
    link_secret: SecretStr | None = Field(default=None, min_length=32)
    # Labels and training runs: SQLite, or PostgreSQL in production. Not in the repr: the URL may hold a password.
    labels_url: str = Field(default="sqlite:///sluice-labels.db", repr=False)
    # Where adapters lie (file:// or s3://), and where a worker keeps copies; S3's keys come from its own variables.
    adapters_url: str = Field(default="file://sluice-adapters", pattern=r"^(file|s3)://")
    adapters_cache: Path = Path("sluice-adapters-cache")
    s3_endpoint_url: str | None = None
    # How often a worker looks whether another adapter is to serve.
    follow_every_s: float = Field(default=2.0, gt=0)
    # Training runs: their folder, which all trainers must see, and what a tuning is (a preset, or a YAML file of one's
    # own); unset is `tiny` for sluice-tiny and `oneke` for all else.
    runs_dir: Path = Path("sluice-runs")
    train_preset: str | None = None
    # A trainer that is silent for so long has lost its run to another.
    run_lease_s: float = Field(default=60.0, gt=0)
    train_processes: int = Field(default=1, ge=1)
    train_deepspeed: Literal["none", "zero2", "zero3"] = "none"
    # The share of the records that were learned before: older labels, and a file of records as `sluice convert` writes.
    train_replay: float = Field(default=0.5, ge=0, lt=1)
    replay_records: Path | None = None
    # A run is due for so many new labels, or for any after so long, within the window (host time, as 22:00-06:00).
    retrain_labels: int = Field(default=200, ge=1)
    retrain_age_s: float = Field(default=7 * 86_400.0, gt=0)
    retrain_window: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
    retrain_scopes: tuple[str, ...] = ("*",)
    beat_every_s: float = Field(default=60.0, gt=0)
    # The gate: how many points of F1 a schema may lose (or those named, as id@version), by how many points the share of
    # values that stand nowhere may rise, how much slower a document may become, and labels (JSON lines) that never
    # train and may not get worse.
    gate_tolerance: float = Field(default=1.0, ge=0)
    gate_tolerances: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    gate_ungrounded: float = Field(default=2.0, ge=0)
    gate_latency: float = Field(default=2.0, gt=0)
    golden_set: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def read(cls) -> Self:
        """Settings from the environment. Raises `Misconfigured` for a wrong value and for a name nobody knows."""
        given = {name for name in os.environ if name.startswith(PREFIX) and not name.startswith(SECRET_PREFIX)}
        known = cls.names()
        if unknown := sorted(given.difference(known) - FOREIGN):
            raise Misconfigured(f"No such setting: {', '.join(unknown)}. {_advice(unknown, known)}")
        try:
            return cls()
        except ValidationError as exc:
            raise Misconfigured(describe(exc, "configuration (the environment variables SLUICE_*)")) from exc
        except SettingsError as exc:  # a value that should be JSON and is not; the message holds no value
            raise Misconfigured(f"{exc}. Write it as JSON.") from exc

    @classmethod
    def names(cls) -> list[str]:
        """The environment variables that are read, the secrets of endpoints aside."""
        return [f"{PREFIX}{name.upper()}" for name in cls.model_fields]


def _advice(unknown: Iterable[str], known: Sequence[str]) -> str:
    # Without the prefix, in which all are alike.
    bare = [name.removeprefix(PREFIX) for name in known]
    close = (difflib.get_close_matches(name.removeprefix(PREFIX).upper(), bare, n=1) for name in unknown)
    likely = dict.fromkeys(PREFIX + match for matches in close for match in matches)
    meant = f"Did you mean {', '.join(likely)}? " if likely else ""
    return f"{meant}`sluice doctor --help` lists them all."
