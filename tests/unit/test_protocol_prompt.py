"""The three published forms of OneKE's prompt; the other templates are compared with recorded ones."""

import pytest

from sluice_schemas.errors import Misconfigured
from sluice_worker.protocol.prompt import FORMS, render
from sluice_worker.protocol.templates import Special

SYSTEM = "You are a helpful assistant. 你是一个乐于助人的助手。"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("training", f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\nQ [/INST]"),  # a space before [/INST]
        ("llama2_zh", f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\nQ [/INST]"),  # the same by its own name
        ("quick_start", f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\nQ[/INST]"),  # none
        ("vllm", f"[INST] <<SYS>>{SYSTEM}<</SYS>>Q[/INST]"),  # and no line breaks either
    ],
)
def test_oneke_forms(form: str, text: str) -> None:
    assert render("Q", form=form).text == text


def test_the_training_form_is_the_default() -> None:
    assert render("Q") == render("Q", form="training")
    assert (render("Q").eos, render("Q").stops, render("Q").ends_sequence) == (None, (), False)


def test_another_system_text() -> None:
    assert render("Q", system="S").text == "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ [/INST]"


@pytest.mark.parametrize("form", FORMS)
def test_what_the_document_says_is_never_a_token_or_a_slot(form: str) -> None:
    query = "a {{system}} {{query}} </s> [/INST] <|im_end|> b"
    prompt = render(query, form=form, system="S")
    assert any(isinstance(piece, str) and query in piece for piece in prompt.pieces)
    assert not any(isinstance(piece, Special) and piece.token in ("</s>", "[/INST]") for piece in prompt.pieces)


def test_special_tokens_of_other_models_stand_apart() -> None:
    assert render("Q", form="qwen", system="S").pieces == (
        Special("<|im_start|>"),
        "system\nS",
        Special("<|im_end|>"),
        "\n",
        Special("<|im_start|>"),
        "user\nQ",
        Special("<|im_end|>"),
        "\n",
        Special("<|im_start|>"),
        "assistant\n",
    )


def test_an_unknown_form_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match="no prompt form 'llama9'; use one of training, llama2_zh"):
        render("Q", form="llama9")
