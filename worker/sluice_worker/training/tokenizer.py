"""The tokenizer of a model trained from scratch: a byte-level BPE made for copying.

Words, single Chinese characters, numbers and every other character are cut apart before merging, spaces included.
So a value has the same tokens in the text, in the schema and in the answer, wherever it stands, and can be copied
token by token. What the protocol repeats in every prompt has one token each.
"""

from collections.abc import Iterable, Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from sluice_worker.protocol.instruction import TEXTS
from sluice_worker.protocol.prompt import render

BOS, EOS, PAD = "<s>", "</s>", "<pad>"

_PIECES = Regex(r"\p{Han}|[\p{L}\p{M}&&[^\p{Han}]]+|\p{N}+|[^\p{L}\p{M}\p{N}]")

_SCHEMA = ['["', '", "', '"], "', '": [', '": {"', '": [], "', '": []}', '"]}', '{"', "[]", "{}"]
_TRIPLES = [
    '": [{"head": "',
    '", "tail": "',
    '", "object": "',
    '": [{"subject": "',
    '"}, {"head": "',
    '"}, {"subject": "',
]
_EVENTS = [
    '": [{"trigger": "',
    '", "arguments": {"',
    '": "',
    '"}}], "',
    '"}}]}',
    '"}}, {"trigger": "',
    "NAN",
    '"}], "',
    '"}]}',
]
_QUESTIONS = ['{"event_type": "', '", "trigger": true, "arguments": ["', '"]}, {"event_type": "', '", "arguments": ["']
_TYPED = [
    '{"subject_type": "',
    '", "predicate": "',
    '", "object_type": "',
    '"}, {"subject_type": "',
    '{"entity_type": "',
]
_ENDS = ['", "attributes": ["', '"}], "input": "', '"]}], "input": "', '": {}}', '": {"', '"}, "', '"}}}']


def train(texts: Iterable[str], *, vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of `vocabulary` tokens in all, learned from `texts`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    constants = [AddedToken(text, normalized=False) for text in dict.fromkeys(_constants())]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(constants),
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.add_tokens(constants)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BOS, eos_token=EOS, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def _constants() -> Iterator[str]:
    yield render('{"instruction": "').text.removesuffix(" [/INST]")
    for texts in TEXTS.values():
        yield from texts.values()
    yield from ('", "schema": ["', '", "schema": [', '"], "input": "', '], "input": "', '", "input": "', '"} [/INST]')
    yield from [*_SCHEMA, *_TRIPLES, *_EVENTS, *_QUESTIONS, *_TYPED, *_ENDS]
