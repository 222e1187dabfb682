"""Builds the engine that the settings name."""

from sluice_worker.engine import model_folder
from sluice_worker.engine.request import Engine
from sluice_worker.plan import Limits
from sluice_worker.settings import Settings


def load(settings: Settings) -> Engine:
    """Loads the model. Raises `Misconfigured` with what to do when folder, device or dtype are wrong."""
    folder = model_folder.resolve(settings.model)
    model_folder.check(folder)
    # torch takes seconds to import; a wrong folder is told at once.
    from sluice_worker.engine.device import choose
    from sluice_worker.engine.transformers_engine import TransformersEngine

    return TransformersEngine(
        folder, device=choose(settings.device), dtype=settings.dtype, batch_tokens=settings.batch_tokens
    )


def limits(settings: Settings, engine: Engine) -> Limits:
    """The lengths to work with: as set, else as the model advises."""
    return Limits(
        chunk_tokens=settings.chunk_tokens or engine.card.chunk_tokens,
        overlap_tokens=settings.overlap_tokens,
        answer_tokens=settings.answer_tokens or engine.card.answer_tokens,
    )
