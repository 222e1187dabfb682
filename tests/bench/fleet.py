"""Models, engines and workers that are measured: each starts when it is first asked for and stays to the end.

A start of vLLM takes up to half a minute; what is not measured is idle or stopped.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from bench import random_model, workload
from bench.queue_stage import SLUICE, redis_server, resting
from bench.rounds import Documents
from bench.shape import FIFTH, Shape
from sluice_processes import Running
from transformers import AutoModelForCausalLM

from sluice_schemas.document import Document
from sluice_schemas.schema import Decoding
from sluice_worker.engine import model_folder
from sluice_worker.engine.device import number_format
from sluice_worker.engine.intake import Intake
from sluice_worker.engine.request import Engine
from sluice_worker.engine.transformers_engine import TransformersEngine

Kind = Literal["transformers", "vllm"]
Model = Literal["sluice-tiny", "random"]
Speculation = Literal["none", "ngram", "suffix"]
T = TypeVar("T")
"""Documents in flight in a worker: more than a pass has, so that the engine alone decides what it batches."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    `documents` are those of one pass, other passes take `share` of what they usually take; answers of the random model
    have `answer_tokens`.
    """

    rounds: int = 5
    share: float = 1.0
    documents: Mapping[Model, int] = dataclasses.field(default_factory=lambda: {"sluice-tiny": 33, "random": 22})
    shape: Shape = FIFTH
    answer_tokens: int = 48
    kinds: tuple[Kind, ...] = ("transformers", "vllm")

    def of(self, count: int) -> int:
        """The share of a usual number, at least one."""
        return max(1, round(count * self.share))


class Fleet:
    """Use it as a context manager: at its end everything is closed."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        self.scale = scale
        self._folder = folder
        self._open = ExitStack()
        self._made: dict[tuple[str, ...], Any] = {}

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def engine(self, kind: Kind, model: Model, *, speculation: Speculation = "none") -> Engine:
        """The engine, driven from this process."""
        return self._once(("engine", kind, model, speculation), lambda: self._engine(kind, model, speculation))

    def worker(self, kind: Kind, model: Model) -> tuple[Running, str]:
        """A `sluice worker`, at rest, and the URL of its own database."""
        return self._once(("worker", kind, model), lambda: self._worker(kind, model))

    def intake(self, model: Model) -> Intake:
        """What prepares prompts for a model."""
        return self._once(("intake", model), lambda: Intake(self.folder(model)))

    def plain(self, model: Model, *, purpose: str) -> Any:
        """The model as the quick start loads it, in the number format that our engines use; one for each purpose."""
        return self._once((purpose, model), lambda: self._plain(model))

    def folder(self, model: Model) -> Path:
        """Where the model lies."""
        if model == "sluice-tiny":
            return model_folder.resolve(model)
        place = self._folder / "random"
        return self._once(("folder",), lambda: random_model.make(place, self.scale.shape, device="cpu"))

    def answer_tokens(self, model: Model) -> int:
        """Of an answer at most; the random model always takes all."""
        return self.intake(model).card.answer_tokens if model == "sluice-tiny" else self.scale.answer_tokens

    def documents(self, model: Model, mark: int) -> list[tuple[Document, str]]:
        """One pass, schema by schema."""
        return sorted(workload.documents(self.scale.documents[model], mark=mark), key=lambda pair: pair[1])

    def requests(self, model: Model, mark: int, *, level: Decoding | None = None) -> Documents:
        """The requests of one pass, at the model's own decoding level unless one is given."""
        intake = self.intake(model)
        card = intake.card if level is None else dataclasses.replace(intake.card, decoding=level)
        return workload.requests(
            self.documents(model, mark),
            card=card,
            count_tokens=intake.count_tokens,
            max_tokens=self.answer_tokens(model),
        )

    def _once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def _engine(self, kind: Kind, model: Model, speculation: Speculation) -> Engine:
        made: Engine
        if kind == "transformers":
            made = TransformersEngine(self.folder(model), device="cpu")
        else:
            # vLLM tells its whole configuration on standard output, where the tables go.
            os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
            from bench.vllm_backend import EitherWay

            from sluice_worker.engine.vllm_start import Options

            made = EitherWay(self.folder(model), Options(max_adapters=0, speculation=speculation))
        self._open.callback(made.close)
        return made

    def _worker(self, kind: Kind, model: Model) -> tuple[Running, str]:
        databases = self._once(("redis",), lambda: self._open.enter_context(redis_server(self._folder)))
        url = databases(sum(key[0] == "worker" for key in self._made))
        settings = {
            "SLUICE_ENGINE": kind,
            "SLUICE_MODEL": str(self.folder(model)),
            "SLUICE_REDIS_URL": url,
            "SLUICE_ANSWER_TOKENS": str(self.answer_tokens(model)),
            "SLUICE_OVERLAP_TOKENS": "0",
            "SLUICE_MAX_ADAPTERS": "0",
            # Between its passes a worker is stopped, and hears nothing.
            "SLUICE_DEAF_S": "86400",
        }
        return self._open.enter_context(resting(self._folder, f"{kind}-{model}", *SLUICE, **settings)), url

    def _plain(self, model: Model) -> Any:
        return AutoModelForCausalLM.from_pretrained(
            self.folder(model), dtype=getattr(torch, number_format("cpu"))
        ).eval()
