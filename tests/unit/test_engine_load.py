"""Which engine the settings mean, and that none is started on settings that it would not heed."""

import pytest

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine import load
from sluice_worker.settings import Settings


def settings(**given: object) -> Settings:
    return Settings.model_validate({"device": "cpu", **given})


def test_on_a_cpu_it_is_transformers() -> None:
    assert load.kind(settings()) == "transformers"
    assert load.kind(settings(engine="transformers", quantization="nf4")) == "transformers"
    assert load.kind(settings(engine="openai")) == "openai"


REFUSED = [
    # a setting of another engine's; what is said
    ({"engine": "transformers", "quantization": "fp8"}, "SLUICE_QUANTIZATION: only vLLM"),
    ({"engine": "transformers", "speculation": "ngram"}, "SLUICE_SPECULATION: only vLLM"),
    ({"engine": "auto", "tensor_parallel": 2}, "SLUICE_TENSOR_PARALLEL: only vLLM"),
    ({"engine": "openai", "server_model": "tiny"}, "needs SLUICE_SERVER_URL"),
    ({"engine": "openai", "server_url": "http://127.0.0.1:9/v1"}, "and SLUICE_SERVER_MODEL"),
    ({"model": "/no/such/folder"}, "There is no model folder"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(given: dict[str, object], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        load.load(settings(**given))


def test_the_key_of_a_server_stays_out_of_what_is_printed() -> None:
    assert "sesame" not in repr(settings(server_key="sesame"))
