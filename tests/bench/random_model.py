"""A model folder with random weights of a given shape: speed does not depend on what a model has learned.

It never ends an answer by itself, so every run has as many answer tokens as it asks for.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import orjson
import torch
from bench.shape import BF16_BYTES, Shape
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from sluice_worker.protocol.instruction import TEXTS
from sluice_worker.training import generator

SHARD_BYTES = 4 << 30
SPREAD = 0.02
"""The standard deviation of LLaMA's weights before training."""
LEARNED = 8000
"""Tokens that are learned from texts; the rest of a larger vocabulary are never part of a prompt."""
PAD, BOS, EOS = "<pad>", "<s>", "</s>"


def make(folder: Path, shape: Shape, *, device: str, seed: int = 0, shard_bytes: int = SHARD_BYTES) -> Path:
    """Writes config, tokenizer and bfloat16 weights; returns `folder`.

    The weights are drawn on `device` and pass through the host's memory a shard at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer(shape.vocabulary)
    vocabulary.save_pretrained(folder)
    _config(shape, vocabulary).save_pretrained(folder)
    torch.manual_seed(seed)
    _write_weights(folder, shape, vocabulary.all_special_ids, device=device, shard_bytes=shard_bytes)
    return folder


def tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """A plain byte-level BPE of exactly `vocabulary` tokens, so that prompts are about as long as LLaMA's.

    The tokenizer that small models are trained with has whole instructions as single tokens, which OneKE has not.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(vocabulary, LEARNED),
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=_filled(bpe, vocabulary),
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def _texts() -> Iterator[str]:
    for texts in TEXTS.values():
        yield from texts.values()
    for language in ("en", "zh"):
        yield from (each["text"] for each in generator.generate(language, seed=1, count=300))


def _filled(bpe: Tokenizer, vocabulary: int) -> Tokenizer:
    """With tokens that no merge leads to, so that whatever id a random model gives has a text."""
    parsed = orjson.loads(bpe.to_str())
    known = parsed["model"]["vocab"]
    known.update({f"~{i}~": i for i in range(len(known), vocabulary)})
    return Tokenizer.from_str(orjson.dumps(parsed).decode())


def _config(shape: Shape, vocabulary: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.context,
        bos_token_id=vocabulary.bos_token_id,
        eos_token_id=vocabulary.eos_token_id,
        pad_token_id=vocabulary.pad_token_id,
        dtype=torch.bfloat16,
    )


def _write_weights(folder: Path, shape: Shape, special: list[int], *, device: str, shard_bytes: int) -> None:
    places: dict[str, str] = {}
    for number, sizes in enumerate(_shards(shape, shard_bytes)):
        tensors = {name: _drawn(name, size, special, device).cpu() for name, size in sizes.items()}
        file = f"model-{number:05}.safetensors"
        save_file(tensors, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, file)
    total = {"total_size": shape.parameters * BF16_BYTES}
    index = orjson.dumps({"metadata": total, "weight_map": places})
    (folder / "model.safetensors.index.json").write_bytes(index)


def _drawn(name: str, size: tuple[int, ...], special: list[int], device: str) -> torch.Tensor:
    weight = torch.empty(size, dtype=torch.bfloat16, device=device)
    if len(size) == 1:
        return weight.fill_(1.0)
    weight.normal_(0.0, SPREAD)
    if name == "lm_head.weight":
        # A score of exactly 0 is never the greatest of thousands that spread around it.
        weight[special] = 0.0
    return weight


def _shards(shape: Shape, shard_bytes: int) -> Iterator[dict[str, tuple[int, ...]]]:
    """Names and sizes, at most `shard_bytes` together unless a single one is larger."""
    shard: dict[str, tuple[int, ...]] = {}
    left_bytes = shard_bytes
    for name, size in _sizes(shape):
        size_bytes = torch.Size(size).numel() * BF16_BYTES
        if shard and size_bytes > left_bytes:
            yield shard
            shard, left_bytes = {}, shard_bytes
        shard[name] = size
        left_bytes -= size_bytes
    yield shard


def _sizes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, wide = (shape.width, shape.width), (shape.feed_forward, shape.width)
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (shape.width,),
        **{f"self_attn.{name}_proj": width for name in "qkvo"},
        "post_attention_layernorm": (shape.width,),
        "mlp.gate_proj": wide,
        "mlp.up_proj": wide,
        "mlp.down_proj": wide[::-1],
    }
    yield "model.embed_tokens.weight", (shape.vocabulary, shape.width)
    for i, (name, size) in itertools.product(range(shape.layers), layer.items()):
        yield f"model.layers.{i}.{name}.weight", size
    yield "model.norm.weight", (shape.width,)
    yield "lm_head.weight", (shape.vocabulary, shape.width)
