"""What is wrong with a model folder is said before anything heavy is loaded."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine import model_folder

CAUSAL = {"architectures": ["LlamaForCausalLM"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that passes."""
    (tmp_path / "config.json").write_bytes(orjson.dumps(CAUSAL))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(3 * model_folder.SAMPLE_BYTES))
    return tmp_path


def test_a_sound_folder_passes(folder: Path) -> None:
    model_folder.check(folder)
    assert model_folder.resolve(str(folder)) == folder


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(Misconfigured, match=r"no model folder '/no/such'.*Set SLUICE_MODEL"):
        model_folder.resolve("/no/such")


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _config(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_bytes(content)


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_remove("config.json"), "has no config.json"),  # some other folder
        (_config(b"{"), r"config\.json is not JSON"),  # a copy that broke off
        (_config(b"\xff{}"), r"config\.json is not JSON"),  # not even text
        (_config(b"[]"), "causal language model is needed"),  # JSON, but no configuration
        (_config(b"{}"), "no known architecture"),  # nothing said
        (_config(b'{"architectures": "LlamaForCausalLM"}'), "causal language model is needed"),  # no list
        (_config(b'{"architectures": ["BertForMaskedLM"]}'), "holds .*BertForMaskedLM.*a causal"),  # an encoder
        (_config(b'{"architectures": ["T5ForConditionalGeneration"]}'), "a causal"),  # an encoder-decoder
        (_pickled, r"only pickled weights \(pytorch_model\.bin\), which can run code"),  # pickle is refused
        (_remove("model.safetensors"), "no weights"),  # none at all
        (_remove("tokenizer.json"), r"has no tokenizer\.json"),  # a slow tokenizer only
    ],
)
def test_each_fault_is_said_in_a_sentence(folder: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(folder)
    with pytest.raises(Misconfigured, match=said):
        model_folder.check(folder)


def test_pickled_files_beside_safetensors_do_no_harm(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(b"\x80")
    model_folder.check(folder)


def test_the_digest_is_that_of_the_content(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy")
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert model_folder.digest(copy) == model_folder.digest(folder)
    assert len(model_folder.digest(folder)) == 12


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("at", [0, -1])
def test_the_digest_changes_with_each_file(folder: Path, name: str, at: int) -> None:
    before = model_folder.digest(folder)
    content = bytearray((folder / name).read_bytes())
    content[at] ^= 1
    (folder / name).write_bytes(content)
    assert model_folder.digest(folder) != before


def test_the_digest_changes_when_a_shard_is_renamed_or_grows(folder: Path) -> None:
    before = model_folder.digest(folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    renamed = model_folder.digest(folder)
    (folder / "model-00001-of-00002.safetensors").write_bytes(bytes(3 * model_folder.SAMPLE_BYTES + 1))
    assert len({before, renamed, model_folder.digest(folder)}) == 3
