"""LoRA adapters for a tiny LLaMA, random but strong enough to change what it says: made in a second."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

RANK = 8


def make(model: Path, folder: Path, *, seed: int) -> Path:
    """Writes one adapter for the model of a folder; its path."""
    torch.manual_seed(seed)
    targets = ["q_proj", "v_proj", "o_proj", "down_proj"]
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets, init_lora_weights=False)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(model), config)
    with torch.no_grad():
        for name, each in adapted.named_parameters():
            if "lora_" in name:
                each.normal_(0.0, 0.15)
    adapted.save_pretrained(folder)
    return folder
