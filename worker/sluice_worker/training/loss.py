"""How well a model predicts: the loss of chosen tokens of a batch."""

import torch
from torch.nn import functional
from transformers import LlamaForCausalLM

from sluice_worker.training.sequence import Batch


def last_states(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """What the model predicts from at each place but the last of each row: [places, width]."""
    states: torch.Tensor = model.model(input_ids=batch.tokens[:, :-1], use_cache=False).last_hidden_state
    return states.flatten(0, 1)


def mean_loss(model: LlamaForCausalLM, states: torch.Tensor, batch: Batch, places: torch.Tensor) -> torch.Tensor:
    """The mean loss of the predictions at `places`, from the last states [places of the batch, width].

    Logits are made only there: over a whole batch they would be most of the work.
    """
    logits = functional.linear(states[places], model.lm_head.weight)
    return functional.cross_entropy(logits.float(), batch.wanted[places])
