"""The engine on vLLM: continuous batching in processes of its own, driven from this one."""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from vllm import SamplingParams
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from sluice_schemas.errors import EngineDead, Misconfigured, Retryable
from sluice_worker.engine import adapters, model_folder
from sluice_worker.engine.adapters import Adapters
from sluice_worker.engine.admission import Admission
from sluice_worker.engine.desk import Desk
from sluice_worker.engine.intake import Intake, Prepared
from sluice_worker.engine.loop import Loop
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.vllm_guide import arguments
from sluice_worker.engine.vllm_start import Options, start

DEAD = "vLLM's engine process has ended; its log says why. This worker must restart."


class VllmEngine:
    """Greedy decoding on vLLM.

    With `speculation` vLLM takes no logits processors: its own structured output (guidance) then holds answers to the
    same grammars, log-probabilities are those after masking, and nothing ends a list that repeats itself.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        model_folder.check(folder)
        self._options = options
        self._intake = Intake(folder)
        self.card = self._intake.card
        self._serials = itertools.count(1)
        self._adapters: Adapters[LoRARequest] = Adapters(self._unload, limit=options.max_adapters)
        self._loop = Loop("vllm")
        self._desk = Desk(self._intake, self._adapters, self._loop, self._answer)
        try:
            self._llm: AsyncLLM = self._loop.run(start(folder, options)).result()
        except Misconfigured:
            self._loop.close()
            raise
        self._admission = Admission(options.admitted_tokens or self.cache_tokens)

    @property
    def cache_tokens(self) -> int:
        """How many tokens the cache of keys and values holds."""
        cache = self._llm.vllm_config.cache_config
        return int(cache.num_gpu_blocks) * int(cache.block_size)

    def count_tokens(self, text: str) -> int:
        return self._intake.count_tokens(text)

    def submit(self, request: Request) -> "Future[Completion]":
        return self._desk.submit(request)

    def submit_all(self, requests: Sequence[Request]) -> "list[Future[Completion]]":
        return [self.submit(each) for each in requests]

    def load_adapter(self, folder: Path) -> str:
        name = adapters.check(folder, max_rank=self._options.adapter_rank)
        if not self._adapters.holds(name):
            # No id is used twice: keys and values cached under one would be served for the other (vLLM #30931).
            lora = LoRARequest(name, next(self._serials), str(folder))
            try:
                self._loop.run(self._llm.add_lora(lora)).result()
            except EngineDeadError as exc:
                raise EngineDead(DEAD) from exc
            except Exception as exc:  # whatever vLLM raises: it was made for another model, or is cut off
                raise Misconfigured(f"The adapter in {folder} does not fit this model: {exc}.") from exc
            self._adapters.add(name, lora)
        return name

    def drop_adapter(self, name: str) -> None:
        self._adapters.drop(name)

    def close(self) -> None:
        if not self._desk.is_closed:
            self._desk.close()
            self._llm.shutdown()

    def _unload(self, lora: LoRARequest) -> None:
        if not self._desk.is_closed:
            self._loop.run(self._llm.remove_lora(lora.lora_int_id))

    async def _answer(self, prepared: Prepared, lora: LoRARequest | None) -> Completion:
        try:
            async with self._admission.admitted(prepared.prompt_tokens + prepared.max_tokens):
                answer = await self._generate(prepared, lora)
        except EngineDeadError as exc:
            raise EngineDead(DEAD) from exc
        except EngineGenerateError as exc:
            raise Retryable(f"vLLM failed on one request: {exc.__cause__!r}.") from exc
        return self._completion(prepared, answer)

    async def _generate(self, prepared: Prepared, lora: LoRARequest | None) -> RequestOutput:
        answers = self._llm.generate(
            TokensPrompt(prompt_token_ids=prepared.ids),
            self._sampling(prepared.request),
            str(next(self._serials)),
            lora_request=lora,
        )
        async for answer in answers:
            if answer.finished:
                return answer
        raise EngineDead(DEAD)

    def _sampling(self, request: Request) -> SamplingParams:
        held = request.grammar is not None
        is_ours = self._options.speculation == "none"
        return SamplingParams(
            temperature=0.0,
            max_tokens=request.max_tokens,
            stop_token_ids=[self._end],
            logprobs=0,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            extra_args=arguments(request.grammar, is_distinct=request.is_distinct) if is_ours else None,
            structured_outputs=StructuredOutputsParams(grammar=request.grammar) if held and not is_ours else None,
        )

    @property
    def _end(self) -> int:
        return int(self._intake.tokenizer.eos_token_id)

    def _completion(self, prepared: Prepared, answer: RequestOutput) -> Completion:
        output = answer.outputs[0]
        ids = [*output.token_ids]
        is_ended = bool(ids) and ids[-1] == self._end
        if is_ended:
            ids.pop()
        tokens = self._intake.tokens(ids, output.logprobs.logprobs)
        is_whole = is_ended and not self._is_outgrown(prepared, ids)
        text = "".join(token.text for token in tokens)
        return Completion(text, tokens, is_whole, prepared.prompt_tokens, answer.num_cached_tokens or 0)

    def _is_outgrown(self, prepared: Prepared, ids: list[int]) -> bool:
        """Whether the grammar met a limit of the parser on the way, which ended the answer early."""
        if prepared.matcher is None:
            return False
        walk = prepared.matcher.deep_copy()
        return walk.try_consume_tokens(ids) < len(ids) or not walk.is_accepting()
