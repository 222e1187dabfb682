"""Starts a LLaMA with the circuit that copies: an induction head.

Extraction answers are copies of the text, and a model this small does not find copying by itself in an hour on two
cores. Circuit and name after Olsson et al. 2022, "In-context learning and induction heads". Layer 0 holds two heads
that look one and two tokens back and note what they see in coordinates left free for it; layer 1 holds a head that
looks for the place where the last two tokens stood before, and repeats what followed. Two tokens, not one, because a
space between words says nothing about which word came before it. All else starts silent: what the other heads and the
feed-forward layers would add at random drowns the notes, the more the wider the model.
"""

import math

import torch
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaAttention

NOTE = 32
"""Coordinates for each noted token."""
CONSTANT = 0.6
"""Share of an embedding's length that is one constant coordinate, so that projections without bias see a constant."""
SHARP_LOOK_BACK = 10.0
SHARP_MATCH = 40.0
EARLIER = 2.0
"""Weight of the token before the current one in a match: the current one is often a space."""
COPY_GAIN = 5.0
FAST, SLOW = 0.03, 0.004
"""Rotary frequencies (radians a token) that tell neighbours apart, and those too slow to spoil a distant match."""


@torch.no_grad()
def start(model: LlamaForCausalLM, *, seed: int) -> None:
    """Writes the circuit into layers 0 and 1 of a freshly built model with tied embeddings. Changes it in place."""
    generator = torch.Generator().manual_seed(seed)
    width = model.config.hidden_size
    head = width // model.config.num_attention_heads
    free = width - 2 * NOTE
    frequencies = _frequencies(model, head)
    _spread_embeddings(model.model.embed_tokens.weight, free, generator)
    note = torch.randn(NOTE, free - 1, generator=generator) / math.sqrt(free - 1)
    first, second = model.model.layers[0].self_attn, model.model.layers[1].self_attn
    for steps_back in (1, 2):
        _look_back(first, steps_back, note, frequencies, free, head)
    _match(second, model, note, frequencies, free, head)
    _copy(second, free, head, generator)
    _silence(model, {0: 2 * head, 1: head})


def _frequencies(model: LlamaForCausalLM, head: int) -> torch.Tensor:
    base = model.config.rope_parameters["rope_theta"]
    powers: torch.Tensor = base ** (torch.arange(0, head, 2).float() / head)
    return 1.0 / powers


def _spread_embeddings(embeddings: torch.Tensor, free: int, generator: torch.Generator) -> None:
    """Random unit directions in the first `free - 1` coordinates, one constant, the rest zero."""
    embeddings.copy_(torch.randn(embeddings.shape, generator=generator))
    embeddings[:, free - 1 :] = 0
    embeddings /= embeddings.norm(dim=1, keepdim=True)
    embeddings *= math.sqrt(1 - CONSTANT**2)
    embeddings[:, free - 1] = CONSTANT


def _look_back(
    attention: LlamaAttention, steps: int, note: torch.Tensor, frequencies: torch.Tensor, free: int, head: int
) -> None:
    """Head `steps - 1` attends to the token `steps` before and writes `note` of it into its free coordinates."""
    rows = slice((steps - 1) * head, steps * head)
    root = math.sqrt(note.shape[1] + 1 + 2 * NOTE)
    height = math.sqrt(SHARP_LOOK_BACK * math.sqrt(head))
    query, key = torch.zeros(head), torch.zeros(head)
    for i in torch.nonzero(frequencies > FAST).flatten().tolist():
        angle = -steps * frequencies[i].item()
        key[i] = height
        query[i], query[i + head // 2] = height * math.cos(angle), height * math.sin(angle)
    for projection, value in ((attention.q_proj, query), (attention.k_proj, key)):
        projection.weight[rows] = 0
        projection.weight[rows, free - 1] = value / (CONSTANT * root)
    attention.v_proj.weight[rows] = 0
    attention.v_proj.weight[rows][:NOTE, : free - 1] = note
    start_at = free + (steps - 1) * NOTE
    attention.o_proj.weight[:, rows] = 0
    attention.o_proj.weight[start_at : start_at + NOTE, rows] = torch.eye(NOTE, head) / root


def _match(
    attention: LlamaAttention,
    model: LlamaForCausalLM,
    note: torch.Tensor,
    frequencies: torch.Tensor,
    free: int,
    head: int,
) -> None:
    """Head 0 asks: where did a token stand whose one and two before are the current token and the one before it?"""
    slow = torch.nonzero(frequencies < SLOW).flatten().tolist()
    places = [*slow, *(i + head // 2 for i in slow)]
    half = min(len(places) // 2, NOTE)
    query, key = torch.zeros(head, model.config.hidden_size), torch.zeros(head, model.config.hidden_size)
    for i in range(half):
        query[places[i], : free - 1] = note[i] * math.sqrt(model.config.hidden_size)
        key[places[i], free + i] = 1.0
        query[places[half + i], free + i] = EARLIER * math.sqrt(model.config.hidden_size)
        key[places[half + i], free + NOTE + i] = 1.0
    scale = math.sqrt(SHARP_MATCH / _typical_score(model, note, query, key, free, head))
    attention.q_proj.weight[:head] = query * scale
    attention.k_proj.weight[:head] = key * scale


def _typical_score(
    model: LlamaForCausalLM, note: torch.Tensor, query: torch.Tensor, key: torch.Tensor, free: int, head: int
) -> float:
    """The attention score of a true match, before scaling, over random tokens."""
    embeddings = model.model.embed_tokens.weight[:500]
    root = math.sqrt(embeddings.shape[1])
    noted = (embeddings[:, : free - 1] * root) @ note.T / root
    here, after = embeddings.clone(), embeddings.roll(-1, 0)
    here[:, free : free + NOTE] = after[:, free + NOTE :] = noted.roll(1, 0)
    after[:, free : free + NOTE] = noted
    asked, found = (_normalised(state) @ weight.T for state, weight in ((here, query), (after, key)))
    return float((asked * found).sum(1).mean() / math.sqrt(head))


def _normalised(states: torch.Tensor) -> torch.Tensor:
    return states / states.pow(2).mean(1, keepdim=True).sqrt()


def _copy(attention: LlamaAttention, free: int, head: int, generator: torch.Generator) -> None:
    """Head 0's value carries the token found there; its output raises that token's own direction."""
    code = torch.randn(head, free - 1, generator=generator) / math.sqrt(head)
    attention.v_proj.weight[:head] = 0
    attention.v_proj.weight[:head, : free - 1] = code / math.sqrt(code.shape[1] + 1 + 2 * NOTE)
    attention.o_proj.weight[:, :head] = 0
    attention.o_proj.weight[: free - 1, :head] = code.T * COPY_GAIN


def _silence(model: LlamaForCausalLM, spared: dict[int, int]) -> None:
    """Zeroes what goes out of each layer, but for the first columns of attention that it is spared."""
    for i, layer in enumerate(model.model.layers):
        layer.self_attn.o_proj.weight[:, spared.get(i, 0) :] = 0
        layer.mlp.down_proj.weight.zero_()
