"""Saves and restores a training run without pickle: tensors as safetensors, the rest as JSON."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

FILE = "checkpoint.safetensors"


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    elapsed_s: float = 0.0
    steps: int = 0
    tokens: int = 0


def save(folder: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
    """Replaces the checkpoint in `folder` in one step: a kill leaves the old one or the new one."""
    tensors = {f"model.{name}": each.detach().contiguous() for name, each in model.named_parameters()}
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{j}.{key}": torch.as_tensor(value) for key, value in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / f"{FILE}.new", metadata={"progress": orjson.dumps(asdict(progress)).decode()})
    os.replace(folder / f"{FILE}.new", folder / FILE)


def restore(folder: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> Progress:
    """Loads the checkpoint in `folder`, when there is one, and returns its progress."""
    if not (folder / FILE).is_file():
        return Progress()
    with safe_open(folder / FILE, framework="pt") as saved:
        names = [*saved.keys()]
        model.load_state_dict({n[6:]: saved.get_tensor(n) for n in names if n.startswith("model.")}, strict=False)
        for i, optimizer in enumerate(optimizers):
            _restore_optimizer(optimizer, {n: saved.get_tensor(n) for n in names if n.startswith(f"optimizer.{i}.")})
        return Progress(**orjson.loads(saved.metadata()["progress"]))


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        _, _, parameter, key = name.split(".", 3)
        state.setdefault(int(parameter), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that an earlier start of the run made."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def publish(folder: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase) -> None:
    """Writes the model for serving: bfloat16 safetensors, config and tokenizer."""
    model.to(torch.bfloat16).save_pretrained(folder / "model", safe_serialization=True)
    tokenizer.save_pretrained(folder / "model")
