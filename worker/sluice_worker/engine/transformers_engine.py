"""The engine on Hugging Face Transformers: runs anywhere torch does, batched by the micro-batcher."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from sluice_schemas.errors import BadInput, EngineDead, Misconfigured
from sluice_worker.engine import adapters, model_folder
from sluice_worker.engine.adapters import Adapters
from sluice_worker.engine.decoding import Answer, Decoding
from sluice_worker.engine.device import number_format
from sluice_worker.engine.guide import Guide, Masks, Walk
from sluice_worker.engine.intake import Intake, Prepared, refused
from sluice_worker.engine.microbatch import MicroBatcher, Outcome
from sluice_worker.engine.request import Completion, Request

BASE = "__base__"
"""What PEFT calls the model without an adapter, for a row of a mixed batch."""

Quantization = Literal["none", "nf4"]


class TransformersEngine:
    """Greedy decoding in bfloat16 or float32 (see `device.number_format`). float16 is refused: OneKE repeats endlessly.

    `nf4` is OneKE's published 4-bit setting: NormalFloat weights, their scales quantised again, bfloat16 in between.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str,
        dtype: str = "auto",
        quantization: Quantization = "none",
        batch_tokens: int = 16_384,
        max_adapters: int = 4,
        max_rank: int = 64,
    ) -> None:
        model_folder.check(folder)
        numbers = getattr(torch, number_format(device, dtype))
        self._intake = Intake(folder)
        self.card = self._intake.card
        self._model: Any = _model(folder, numbers, device=device, quantization=quantization)
        self._masks = Masks(vocabulary=self._model.config.vocab_size)
        self._max_rank = max_rank
        self._adapters: Adapters[str] = Adapters(self._unload, limit=max_adapters)
        self._is_adapted = False
        self._quiet = threading.RLock()
        self._batcher: MicroBatcher[Prepared] = MicroBatcher(self._run, budget_tokens=batch_tokens)

    def count_tokens(self, text: str) -> int:
        return self._intake.count_tokens(text)

    def submit(self, request: Request) -> "Future[Completion]":
        return self.submit_all([request])[0]

    def submit_all(self, requests: Sequence[Request]) -> "list[Future[Completion]]":
        given = [self._prepared(each) for each in requests]
        self._batcher.submit([each for each in given if isinstance(each, Prepared)])
        return [each.future if isinstance(each, Prepared) else refused(each) for each in given]

    def load_adapter(self, folder: Path) -> str:
        name = adapters.check(folder, max_rank=self._max_rank)
        # Seconds to import, for those who have adapters.
        from peft import PeftModel

        with self._quiet:
            if self._adapters.holds(name):
                return name
            try:
                if self._is_adapted:
                    self._model.load_adapter(folder, adapter_name=name)
                else:
                    self._model = PeftModel.from_pretrained(self._model, folder, adapter_name=name).eval()
                    self._is_adapted = True
            except (ValueError, RuntimeError, SafetensorError) as exc:  # made for another model, or cut off
                raise Misconfigured(f"The adapter in {folder} does not fit this model: {exc}.") from exc
            self._adapters.add(name, name)
        return name

    def drop_adapter(self, name: str) -> None:
        self._adapters.drop(name)

    def close(self) -> None:
        self._batcher.close()

    def _prepared(self, request: Request) -> Prepared | BadInput:
        try:
            prepared = self._intake.prepare(request)
            if name := request.adapter:
                self._adapters.take(name)
                prepared.future.add_done_callback(lambda _: self._adapters.leave(name))
        except BadInput as exc:
            return exc
        return prepared

    def _unload(self, name: str) -> None:
        with self._quiet:
            others = [each for each in self._model.peft_config if each != name]
            if others:
                self._model.set_adapter(others[0])  # the active one may not go
                self._model.delete_adapter(name)
            else:
                self._model = self._model.unload()
                self._is_adapted = False

    def _run(self, batch: Sequence[Prepared]) -> Sequence[Outcome]:
        padded = self._intake.tokenizer.pad({"input_ids": [each.ids for each in batch]}, return_tensors="pt")
        # A batch that failed runs again one by one, so each run takes walks of its own.
        walks = [
            each.matcher and self._intake.grammars.walk(each.matcher, is_distinct=each.request.is_distinct)
            for each in batch
        ]
        answers = self._decode(batch, padded, Guide(walks, self._masks))
        return [self._completion(*each) for each in zip(batch, answers, walks, strict=True)]

    @torch.inference_mode()
    def _decode(self, batch: Sequence[Prepared], padded: Any, guide: Guide) -> list[Answer]:
        names = [each.request.adapter or BASE for each in batch]
        with self._quiet:
            try:
                return Decoding(
                    self._model,
                    batch,
                    padded.to(self._model.device),
                    guide,
                    end=self._intake.tokenizer.eos_token_id,
                    adapters=names if self._is_adapted else (),
                ).run()
            except torch.OutOfMemoryError as exc:
                torch.cuda.empty_cache()
                raise BadInput("The batch does not fit the device's memory. Lower SLUICE_BATCH_TOKENS.") from exc
            except torch.AcceleratorError as exc:
                raise EngineDead(f"The device failed: {exc}") from exc

    def _completion(self, prepared: Prepared, answer: Answer, walk: Walk | None) -> Completion:
        is_ended = answer.tokens[-1:] == [self._intake.tokenizer.eos_token_id]
        ids = answer.tokens[:-1] if is_ended else answer.tokens
        tokens = self._intake.tokens(ids, answer.logprobs)
        is_whole = is_ended and not (walk and walk.is_outgrown)
        return Completion("".join(token.text for token in tokens), tokens, is_whole, len(prepared.ids))


def _model(folder: Path, dtype: torch.dtype, *, device: str, quantization: Quantization) -> PreTrainedModel:
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            device_map={"": device},
            quantization_config=nf4 if quantization == "nf4" else None,
            use_safetensors=True,
            # Left out, Transformers would ask on standard input whether the folder's code may run.
            trust_remote_code=False,
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as exc:  # a shard missing or cut off, wrong shapes
        raise Misconfigured(f"The model in {folder} does not load: {exc}. Copy it again.") from exc
    return model.eval()
