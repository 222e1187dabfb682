"""The fake keeps to what real engines keep to: a service tested on it meets no surprise."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from engine_contract import TEXTS, EngineContract, EngineEndsContract, answer, asked

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine import adapters as lora
from sluice_worker.engine.request import Engine
from sluice_worker.engine.scripted import ScriptedEngine


def script(prompt: str) -> str:
    """A name that stands in the prompt."""
    name = next((each for each in ("Ann", "张三", "Bob", "Mary") if each in prompt), "Ann")
    return f'{{"{name}": []}}'


def scripted() -> Engine:
    return ScriptedEngine(
        script, adapted=lambda prompt, name: f"{name[:9]} {script(prompt)}", chunk_tokens=5000, max_adapters=2
    )


@pytest.fixture
def engine() -> Engine:
    return scripted()


@pytest.fixture
def make() -> Callable[[], Engine]:
    return scripted


@pytest.fixture
def adapters(tmp_path: Path) -> tuple[Path, ...]:
    return tuple(folder(tmp_path / name) for name in "abc")


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "adapter_config.json").write_bytes(orjson.dumps({"peft_type": "LORA", "r": 8}))
    (path / "adapter_model.safetensors").write_bytes(path.name.encode())
    return path


class TestScriptedEngine(EngineContract, EngineEndsContract):
    def test_an_answer_may_be_empty(self, engine: Engine) -> None:
        """What it says is the script's business."""
        given = answer(ScriptedEngine(lambda prompt: ""), asked(TEXTS[0]))
        assert (given.text, given.tokens, given.is_whole) == ("", (), True)


@pytest.mark.parametrize("config", [b"[]", b'{"peft_type": "LORA", "r": "x"}', b'{"modules_to_save": 1}', b"{"])
def test_a_config_that_peft_did_not_write_is_refused(tmp_path: Path, config: bytes) -> None:
    path = folder(tmp_path / "a")
    (path / "adapter_config.json").write_bytes(config)
    with pytest.raises(Misconfigured, match="copy it again"):
        lora.check(path, max_rank=8)


def test_an_adapter_is_named_by_its_whole_content_and_never_pickled(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    weights = path / "adapter_model.safetensors"
    weights.write_bytes(bytes(1 << 22))
    name = lora.check(path, max_rank=8)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] = 1
    weights.write_bytes(content)
    assert lora.check(path, max_rank=8) != name
    weights.rename(path / "adapter_model.bin")
    with pytest.raises(Misconfigured, match="no pickled weights"):
        lora.check(path, max_rank=8)
