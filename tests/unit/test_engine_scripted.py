"""The fake keeps to what real engines keep to: a service tested on it meets no surprise."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from engine_contract import TEXTS, EngineContract, EngineEndsContract, answer, asked

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
