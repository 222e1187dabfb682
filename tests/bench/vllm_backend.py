"""One vLLM engine that holds answers in either way: by our logits processor, or by vLLM's own guidance backend."""

from dataclasses import dataclass

from vllm import SamplingParams
from vllm.sampling_params import StructuredOutputsParams

from sluice_worker.engine.request import Request
from sluice_worker.engine.vllm_engine import VllmEngine


@dataclass(frozen=True, slots=True)
class BackendRequest(Request):
    """A request whose grammar is given to the backend."""


class EitherWay(VllmEngine):
    """Our way for every other request, so that both are measured on the same running engine."""

    def _sampling(self, request: Request) -> SamplingParams:
        sampling = super()._sampling(request)
        if isinstance(request, BackendRequest) and request.grammar is not None:
            sampling.extra_args = None
            sampling.structured_outputs = StructuredOutputsParams(grammar=request.grammar)
        return sampling


def backed(request: Request) -> BackendRequest:
    """The same request for the backend."""
    return BackendRequest(
        request.prompt, request.max_tokens, request.grammar, request.is_distinct, adapter=request.adapter
    )
