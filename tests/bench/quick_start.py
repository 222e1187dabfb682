"""The baseline: the loop that OneKE's README starts with, one prompt at a time through Transformers."""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from bench.throughput import Pass
from transformers import GenerationConfig, PreTrainedTokenizerFast


def run(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    documents: Sequence[Sequence[str]],
    *,
    max_tokens: int,
    limit_s: float = math.inf,
) -> Pass:
    """Answers the prompts of one document after the other, greedily, without a grammar.

    As published: no sampling, padding is the end token, the answer is what follows the prompt, decoded without
    special tokens (OneKE's protocol, section 12). Unlike it: the model is what it is given, best in bfloat16, which
    a device that can hold it runs faster than the README's 4 bits. No document begins once `limit_s` is over.
    """
    started = time.perf_counter()
    done = requests = prompt_tokens = completion_tokens = 0
    for prompts in documents:
        if time.perf_counter() - started >= limit_s:
            break
        for prompt in prompts:
            asked, answered = _answer(model, tokenizer, prompt, max_tokens)
            requests, prompt_tokens, completion_tokens = (
                requests + 1,
                prompt_tokens + asked,
                completion_tokens + answered,
            )
        done += 1
    return Pass(done, requests, prompt_tokens, completion_tokens, time.perf_counter() - started)


@torch.inference_mode()
def _answer(model: Any, tokenizer: PreTrainedTokenizerFast, prompt: str, max_tokens: int) -> tuple[int, int]:
    """Tokens of the prompt and of the answer."""
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"].to(model.device)
    setting = GenerationConfig(
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    answer = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=setting)
    taken = answer[0, ids.shape[1] :]
    tokenizer.decode(taken, skip_special_tokens=True)
    return ids.shape[1], taken.shape[0]
