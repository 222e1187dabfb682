"""Text into token ids, one way for serving and for training: a special token comes from an id, never from a text."""

from transformers import PreTrainedTokenizerFast

from sluice_schemas.errors import Misconfigured
from sluice_worker.protocol.prompt import Prompt
from sluice_worker.protocol.templates import Special


class Encoder:
    """Encodes for one tokenizer, whose backend it sets to read `</s>` in a text as plain characters."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        if tokenizer.eos_token_id is None:
            raise Misconfigured("The tokenizer has no end token. Set eos_token in its tokenizer_config.json.")
        self._tokenizer = tokenizer
        self._backend = tokenizer.backend_tokenizer
        self._backend.encode_special_tokens = True

    def text(self, text: str) -> list[int]:
        """The ids of a text without any special token."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def prompt(self, prompt: Prompt) -> list[int]:
        """The begin token where the tokenizer has one, then each piece by itself. Raises `Misconfigured`."""
        ids = [] if self._tokenizer.bos_token_id is None else [self._tokenizer.bos_token_id]
        for piece in prompt.pieces:
            ids += [self._special(piece.token)] if isinstance(piece, Special) else self.text(piece)
        return ids

    def end(self, prompt: Prompt) -> int:
        """The id that ends an answer to this prompt."""
        return int(self._tokenizer.eos_token_id) if prompt.eos is None else self._special(prompt.eos)

    def _special(self, token: str) -> int:
        found = self._tokenizer.convert_tokens_to_ids(token)
        if not isinstance(found, int) or found == self._tokenizer.unk_token_id:
            raise Misconfigured(f"The tokenizer has no token {token}: it belongs to another prompt form.")
        return found
