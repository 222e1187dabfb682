"""The wheel in a clean environment: light, complete, and not fooled by folders of the same names."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_PACKAGES = 24
HEAVY = ("torch", "transformers", "vllm", "peft", "celery", "numpy", "sqlalchemy", "alembic")
TIMEOUT_S = 300

pytestmark = pytest.mark.timeout(2 * TIMEOUT_S)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT))
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment that holds the light install."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", str(wheel))
    return folder / "bin/python"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose packages have the names of our source folders, and explode when they are imported."""
    for name in ("schemas", "worker", "producer", "library"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")
    return tmp_path


def run(*command: object, cwd: Path | None = None) -> str:
    """Output of a command with nothing of this environment in its way; a failure shows what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SLUICE"))}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "sluice_schemas",
        "sluice_producer",
        "sluice_worker",
        "sluice_knowledge",
    }
    assert {f"{each}/py.typed" for each in ("sluice_schemas", "sluice_producer", "sluice_worker")} <= set(names)
    assert sum(name.startswith("sluice_schemas/library/") for name in names) >= 12
    for needed in (
        "sluice_schemas/ledger/lua/accept.lua",
        "sluice_schemas/sql/migrations/env.py",
        "sluice_producer/view/page.css",
        "sluice_worker/demo/documents.jsonl",
        "sluice_worker/models/sluice-tiny/model.safetensors",
        "sluice_worker/models/sluice-tiny/README.md",
        "sluice_worker/training/recipes/tiny.yaml",
        "sluice_knowledge/page/index.html",
    ):
        assert needed in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".bin", ".pt", ".pkl"))]


def test_the_light_install_is_light(python: Path) -> None:
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
    installed = {each["name"].lower() for each in listed} - {"pip", "setuptools"}
    assert len(installed) <= MOST_PACKAGES, sorted(installed)
    assert not installed & set(HEAVY)


def test_it_runs_from_a_folder_with_hostile_names(python: Path, hostile: Path) -> None:
    program = (
        "import sys, sluice_producer, sluice_schemas.shelf as shelf;"
        f"heavy = [name for name in {HEAVY} if name in sys.modules];"
        "assert not heavy, heavy;"
        "assert len(shelf.library()) >= 12;"
        "document = sluice_producer.Document(id='1', text='Ada');"
        "print(sluice_producer.Document.decode(document.encode()).text)"
    )
    assert run(python, "-c", program, cwd=hostile) == "Ada\n"


def test_labels_without_their_extra_say_what_to_install(python: Path, hostile: Path) -> None:
    program = (
        "from sluice_producer.testing import fake_sluice\n"
        "with fake_sluice() as client:\n"
        "    job = client.submit('Ada', schema='news/entities-en@1', reviewable=True)\n"
        "    try: client.confirm(job.id, author='me')\n"
        "    except Exception as exc: print(exc)"
    )
    assert "pip install 'sluice-ke[labels]'" in run(python, "-c", program, cwd=hostile)


def test_the_wheel_makes_its_tables(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "unpacked")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'unpacked')!r})\n"
        "from sluice_schemas.sql import database\n"
        "from sqlalchemy import inspect\n"
        "print('labels' in inspect(database.connect('sqlite:///new.db')).get_table_names(), database.MIGRATIONS)"
    )
    told = run(sys.executable, "-c", program, cwd=tmp_path)
    assert told == f"True {tmp_path / 'unpacked/sluice_schemas/sql/migrations'}\n"


def test_its_commands_all_work(python: Path, hostile: Path) -> None:
    sluice = python.with_name("sluice")
    told = run(sluice, "--help", cwd=hostile)
    assert "submit" in told
    # Commands of the worker would be dead here.
    assert not [name for name in ("worker", "doctor", "train", "demo") if f"\n  {name} " in told]
    assert "news/entities-en@1" in run(sluice, "schemas", "list", cwd=hostile)
