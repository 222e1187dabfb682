"""How the original's training cuts what is too long (OneKE's protocol, section 10), its faults included.

It says what a published training has seen. Our own trainings use `lengths`, which never cuts a prompt or an answer.
"""

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

from sluice_worker.training.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Truncation:
    """The original's `cutoff_len` and `max_target_length`, in tokens. Any numbers are taken, as it takes them."""

    cutoff: int
    answer: int

    def shares(self, *, prompt: int, answer: int) -> tuple[int, int]:
        """The tokens that prompt and answer may keep, by their lengths; the first is negative for bad limits."""
        kept = max(int(self.cutoff * answer / (prompt + answer)), self.answer)
        return self.cutoff - kept, kept

    def training(self, prompt: SequenceOf[int], answer: SequenceOf[int], *, end: int | None = None) -> Sequence:
        """Both cut at their ends, then the whole. `answer` holds its own end token, or `end` follows the sequence.

        A long prompt loses its ` [/INST]`, a long answer its end, and bad limits drop tokens from the prompt's end.
        """
        most_prompt, most_answer = self.shares(prompt=len(prompt), answer=len(answer))
        asked = prompt[:most_prompt]
        tokens = (*asked, *answer[:most_answer], *(() if end is None else (end,)))[: self.cutoff]
        return Sequence(tokens, min(len(asked), len(tokens)))

    def prediction(self, tokens: SequenceOf[int]) -> tuple[int, ...]:
        """A prompt, or the answer expected to it, cut at its end: a long prompt loses its ` [/INST]` here too."""
        return tuple(tokens[: self.cutoff])
