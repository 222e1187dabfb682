"""What the engine is given: an instruction in the frame its model was tuned on (OneKE's protocol, section 10)."""

import re
from dataclasses import dataclass

from sluice_schemas.errors import Misconfigured
from sluice_worker.protocol.templates import TEMPLATES, Special

TRAINING = "llama2_zh"
FORMS = ("training", *TEMPLATES)
"""`training` is the form OneKE was tuned on; `quick_start` and `vllm` (ollama too) are the other two it publishes."""

_SLOT = re.compile(r"\{\{(system|query)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt without its begin and end tokens, which go in as ids.

    Encode each of `pieces` by itself: a `Special` by its id, a string as plain text with special tokens switched off,
    for the document may hold `</s>` or `[/INST]`. Put the begin token in front where the tokenizer has one.
    The answer ends with `eos`, None for the tokenizer's own, or with one of `stops`; where `ends_sequence` is true
    training put the end token after the whole sequence, else after the answer.
    """

    pieces: tuple[str | Special, ...]
    eos: str | None = None
    ends_sequence: bool = False
    stops: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(piece.token if isinstance(piece, Special) else piece for piece in self.pieces)


def render(query: str, *, form: str = "training", system: str | None = None) -> Prompt:
    """Frames an instruction string; `system` replaces the form's own system text. Raises `Misconfigured`."""
    template = TEMPLATES.get(TRAINING if form == "training" else form)
    if template is None:
        raise Misconfigured(f"There is no prompt form {form!r}; use one of {', '.join(FORMS)}.")
    values = {"system": template.system if system is None else system, "query": query}
    elements = (*(template.head if values["system"] else ()), *template.query)
    pieces = (each if isinstance(each, Special) else _filled(each, values) for each in elements)
    return Prompt(
        pieces=tuple(piece for piece in pieces if piece),
        eos=template.eos,
        ends_sequence=template.ends_sequence,
        stops=template.stops,
    )


def _filled(element: str, values: dict[str, str]) -> str:
    # One pass, so that a query which holds "{{system}}" stays as it is.
    return _SLOT.sub(lambda slot: values[slot[1]], element)
