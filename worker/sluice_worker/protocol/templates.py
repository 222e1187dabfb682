"""The prompt templates of the models that OneKE's authors tuned, as data (OneKE's protocol, section 10).

`{{system}}` and `{{query}}` are the only places that are filled in. Elements are encoded one by one, as in training;
`llama2` ones have a single element because their training code encodes the whole prompt at once.
"""

from dataclasses import dataclass
from types import MappingProxyType

ZH = "You are a helpful assistant. 你是一个乐于助人的助手。"
EN = "You are a helpful assistant."
CHAT = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
LLAMA2 = (
    "You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe. "
    "Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. "
    "Please ensure that your responses are socially unbiased and positive in nature.\n\n"
    "If a question does not make any sense, or is not factually coherent, explain why instead of answering something "
    "not correct. If you don't know the answer to a question, please don't share false information."
)
ALPACA = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
CHATGLM3 = (
    "You are ChatGLM3, a large language model trained by Zhipu.AI. "
    "Follow the user's instructions carefully. Respond using markdown."
)


@dataclass(frozen=True, slots=True)
class Special:
    """One special token, by its name in the vocabulary."""

    token: str


@dataclass(frozen=True, slots=True)
class Template:
    """How one model family is asked.

    `head` stands before `query` and is left out when it holds `{{system}}` and the system text is empty.
    `eos` replaces the tokenizer's end token. With `ends_sequence` the end token is no part of the answer: training
    appends it once, after the whole sequence.
    """

    query: tuple[str | Special, ...]
    head: tuple[str | Special, ...] = ()
    system: str = ""
    eos: str | None = None
    ends_sequence: bool = False
    stops: tuple[str, ...] = ()


def _llama2(system: str, form: str = "[INST] <<SYS>>\n{{system}}\n<</SYS>>\n\n{{query}} [/INST]") -> Template:
    return Template(query=(form,), system=system)


def _llama3(system: str) -> Template:
    start, end, turn = Special("<|start_header_id|>"), Special("<|end_header_id|>"), Special("<|eot_id|>")
    return Template(
        head=(start, "system", end, "\n\n{{system}}", turn),
        query=(start, "user", end, "\n\n{{query}}", turn, start, "assistant", end, "\n\n"),
        system=system,
        eos=turn.token,
    )


def _qwen() -> Template:
    start, end = Special("<|im_start|>"), Special("<|im_end|>")
    return Template(
        head=(start, "system\n{{system}}", end, "\n"),
        query=(start, "user\n{{query}}", end, "\n", start, "assistant\n"),
        system=EN,
        eos=end.token,
        ends_sequence=True,
    )


def _baichuan(user: str, assistant: str) -> Template:
    return Template(head=("{{system}}",), query=(Special(user), "{{query}}", Special(assistant)), ends_sequence=True)


def _chatglm3() -> Template:
    user = Special("<|user|>")
    return Template(
        head=(Special("[gMASK]"), Special("sop"), Special("<|system|>"), "\n{{system}}"),
        query=(user, "\n{{query}}", Special("<|assistant|>")),
        system=CHATGLM3,
        ends_sequence=True,
        stops=(user.token, "<|observation|>"),
    )


TEMPLATES = MappingProxyType(
    {
        "llama2_zh": _llama2(ZH),
        "quick_start": _llama2(ZH, "[INST] <<SYS>>\n{{system}}\n<</SYS>>\n\n{{query}}[/INST]"),
        "vllm": _llama2(ZH, "[INST] <<SYS>>{{system}}<</SYS>>{{query}}[/INST]"),
        "llama2": _llama2(LLAMA2),
        "llama3_zh": _llama3(ZH),
        "llama3": _llama3(EN),
        "alpaca": Template(
            head=("{{system}}", "\n\n"), query=("### Instruction:\n{{query}}\n\n### Response:\n",), system=ALPACA
        ),
        "qwen": _qwen(),
        "baichuan": _baichuan("<reserved_102>", "<reserved_103>"),
        "baichuan2": _baichuan("<reserved_106>", "<reserved_107>"),
        "chatglm2": Template(
            query=(Special("[gMASK]"), Special("sop"), "{{system}}", "\n\n", "[Round 1]\n\n问：{{query}}\n\n答："),
            ends_sequence=True,
        ),
        "chatglm3": _chatglm3(),
        "mistral": Template(head=("{{system}}", " "), query=("[INST] {{query}} [/INST]",)),
        "vicuna": Template(head=("{{system}}",), query=("USER: {{query}} ASSISTANT:",), system=CHAT),
        "default": Template(head=("{{system}}", "\n"), query=("Human: {{query}}\nAssistant:",), system=CHAT),
        "vanilla": Template(query=("{{query}}",)),
    }
)
