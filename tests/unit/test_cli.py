"""The command line on the ledger's twin in memory: one job, schemas, plug-ins, errors."""

import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from sluice_producer.cli import main, sluice
from sluice_producer.cli.plugins import Commands
from sluice_producer.cli.schemas import schemas
from sluice_producer.cli.session import Session
from sluice_producer.client import Sluice
from sluice_producer.testing import empty
from sluice_schemas import shelf
from sluice_schemas.errors import Unavailable
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job
from sluice_schemas.ledger import MemoryLedger
from sluice_schemas.printable import printable
from sluice_schemas.queues import SilentDoorbell

NEWS = "news/entities-en@1"


class Desk:
    """A user at a terminal, and the ledger behind."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.ledger = ledger or MemoryLedger()
        self.client = Sluice(ledger=self.ledger, doorbell=SilentDoorbell())

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(sluice, arguments, obj=Session(connect=lambda url: self.client))

    def submit(self) -> Job:
        return self.client.submit("Anna works in Kyiv.", schema=NEWS)


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestOneJob:
    def test_status(self, desk: Desk) -> None:
        job = desk.submit()
        assert Job.decode(desk.run("status", job.id).stdout) == job

    def test_result(self, desk: Desk) -> None:
        job = desk.submit()
        claim = desk.ledger.claim("w")
        assert claim is not None
        desk.ledger.commit(claim, empty(claim))
        assert Extraction.decode(desk.run("result", job.id).stdout) == empty(claim)

    def test_result_that_is_not_there_yet(self, desk: Desk) -> None:
        found = desk.run("result", desk.submit().id, "--timeout", "0")
        assert (found.exit_code, found.stdout) == (1, "")
        assert found.stderr.startswith("error: Job ")
        assert "goes on" in found.stderr

    def test_cancel(self, desk: Desk) -> None:
        found = desk.run("cancel", desk.submit().id)
        assert (found.exit_code, Job.decode(found.stdout).state) == (0, "cancelled")

    def test_cancel_comes_too_late(self, desk: Desk) -> None:
        job = desk.submit()
        claim = desk.ledger.claim("w")
        assert claim is not None
        desk.ledger.commit(claim, empty(claim))
        found = desk.run("cancel", job.id)
        assert found.exit_code == 1
        assert "it is succeeded" in found.stderr

    @pytest.mark.parametrize("command", ["status", "result", "cancel"])
    def test_unknown_job_is_one_line(self, desk: Desk, command: str) -> None:
        found = desk.run(command, "nope")
        assert (found.exit_code, found.stdout) == (1, "")
        assert found.stderr.startswith("error: No job 'nope'")
        assert found.stderr.count("\n") == 1


class TestSchemas:
    def test_list_has_shipped_and_published(self, desk: Desk, tmp_path: Path) -> None:
        assert desk.run("schemas", "publish", str(own_file(tmp_path))).stdout == "published house/own@1\n"
        rows = [line.split("\t") for line in desk.run("schemas", "list").stdout.splitlines()]
        assert [row[0] for row in rows] == [*shelf.library(), "house/own@1"]
        assert rows[-1] == ["house/own@1", "NER", "en", "1", "published", ""]

    def test_list_without_redis_shows_what_ships(self) -> None:
        found = Desk(NoRegistry()).run("schemas", "list")
        assert (found.exit_code, len(found.stdout.splitlines())) == (0, len(shelf.library()))
        assert "Redis did not answer" in found.stderr

    @pytest.mark.parametrize("ref", [*shelf.library()])
    def test_what_is_shown_can_be_read_again(self, desk: Desk, ref: str) -> None:
        assert shelf.load(desk.run("schemas", "show", ref).stdout) == shelf.find(ref)

    def test_show_unknown(self, desk: Desk) -> None:
        found = desk.run("schemas", "show", "news/entities@1")
        assert found.exit_code == 1
        assert "Did you mean" in found.stderr

    def test_check_names_every_bad_file(self, desk: Desk, tmp_path: Path) -> None:
        bad = own_file(tmp_path, name="bad", types="[]")
        found = desk.run("schemas", "check", str(own_file(tmp_path)), str(bad), str(tmp_path / "none.yaml"))
        assert found.exit_code == 1
        assert found.stdout.endswith("house/own@1, NER, 1 types\n")
        errors = found.stderr.splitlines()
        assert [line.split(":")[1].strip() for line in errors] == [str(bad), str(tmp_path / "none.yaml")]
        assert "types is empty" in errors[0]

    @pytest.mark.parametrize(
        ("types", "fault"),
        [
            ("[]", "types is empty"),
            ("[{name: a}, {name: a}]", "stands twice"),
            ("[" + ", ".join(f"{{name: t{n}}}" for n in range(500)) + "]", "500 types"),
        ],
    )
    def test_bad_schema_is_not_published(self, desk: Desk, tmp_path: Path, types: str, fault: str) -> None:
        found = desk.run("schemas", "publish", str(own_file(tmp_path, types=types)))
        assert found.exit_code == 1
        assert fault in found.stderr
        assert desk.ledger.schemas() == []

    def test_other_content_under_a_published_version(self, desk: Desk, tmp_path: Path) -> None:
        desk.run("schemas", "publish", str(own_file(tmp_path)))
        found = desk.run("schemas", "publish", str(own_file(tmp_path, types="[{name: place}]")))
        assert found.exit_code == 1
        assert "Publish this as house/own@2" in found.stderr


class NoRegistry(MemoryLedger):
    def schemas(self) -> list[str]:
        raise Unavailable


def own_file(folder: Path, *, name: str = "own", types: str = "[{name: person}]") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(f"id: house/own\nversion: 1\ntask: NER\nlanguage: en\ntypes: {types}\n")
    return path


class TestPlugins:
    @pytest.mark.parametrize(
        ("extra", "requires", "is_listed"),
        [
            ("", "", True),  # a plug-in without extras
            (" [worker]", "click>=8; extra == 'worker'", True),  # the extra is installed
            (" [worker]", 'no-such-dist-1>=2; extra == "worker"', False),  # it is not
            (" [worker]", "no-such-dist-1; extra == 'other'", True),  # another extra is not
        ],
    )
    def test_only_what_can_run_is_listed(self, tmp_path: Path, extra: str, requires: str, is_listed: bool) -> None:
        listed = run(group(tmp_path, f"greet = plugged_in:greet{extra}", requires), "--help").stdout
        assert ("greet" in listed) == is_listed

    def test_it_runs(self, tmp_path: Path) -> None:
        assert run(group(tmp_path, "greet = plugged_in:greet"), "greet").stdout == "hello\n"

    @pytest.mark.parametrize("arguments", [(), ("--help",), ("--model", "x", "y")])
    def test_missing_extra_is_a_sentence(self, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        found = run(
            group(tmp_path, "greet = none:x [worker]", "no-such-dist-1; extra == 'worker'"), "greet", *arguments
        )
        assert found.exit_code == 1
        assert found.stderr == (
            "error: `sluice greet` needs no-such-dist-1, not installed here. Run: pip install 'sluice-ke[worker]'\n"
        )

    @pytest.mark.parametrize(
        ("target", "fault"),
        [
            ("no_such_module:greet", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("plugged_in:none", "AttributeError"),
            ("plugged_in:NUMBER", "no click command"),
        ],
    )
    def test_broken_plugin_is_a_sentence_and_breaks_nothing(self, tmp_path: Path, target: str, fault: str) -> None:
        commands = group(tmp_path, f"greet = {target}")
        assert "own" in run(commands, "--help").stdout
        found = run(commands, "greet")
        assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
        assert fault in found.stderr

    def test_nothing_is_loaded_for_another_command(self, tmp_path: Path) -> None:
        assert run(group(tmp_path, "greet = no_such_module:greet"), "own").stdout == "own\n"

    def test_our_own_commands_come_first(self, tmp_path: Path) -> None:
        assert run(group(tmp_path, "own = plugged_in:greet"), "own").stdout == "own\n"


def group(folder: Path, entry: str, requires: str = "") -> Commands:
    """A command line with one command of its own, beside an installed distribution with an entry point."""
    info = folder / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: plug\nVersion: 1\n" + (f"Requires-Dist: {requires}\n" if requires else ""))
    (info / "entry_points.txt").write_text(f"[sluice.commands]\n{entry}\n")

    def find() -> Iterable[EntryPoint]:
        return PathDistribution(info).entry_points

    commands = Commands("sluice", find=find)
    commands.add_command(click.Command("own", callback=lambda: click.echo("own")))
    return commands


def run(commands: Commands, *arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments)


@pytest.fixture(autouse=True)
def plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugged_in.py").write_text(
        "import click\nNUMBER = 1\n\n@click.command()\ndef greet():\n    click.echo('hello')\n"
    )
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://127.0.0.1:6379/0")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "plugged_in", raising=False)


class TestMain:
    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["--version"], 0, "sluice 0."),
            (["--help"], 0, "Exit codes"),
            (["nope"], 2, "No such command 'nope'"),
            (["submit"], 2, "Missing argument 'FILE'"),
            (["--redis", "redis+cluster://h", "status", "x"], 1, "error: The Redis URL must start with redis://"),
            (["schemas", "check", "/no/such.yaml"], 1, "error: /no/such.yaml"),
        ],
    )
    def test_exit_codes(self, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str) -> None:
        assert main(arguments) == code
        assert said in "".join(capsys.readouterr())

    @pytest.mark.parametrize("command", [(), ("submit",), ("schemas",), ("result",), ("view",)])
    def test_help_fits_80_columns(self, desk: Desk, command: tuple[str, ...]) -> None:
        said = desk.run(*command, "--help").stdout.splitlines()
        assert max(len(line) for line in said) <= 80
        own = {*sluice.commands, *schemas.commands}
        summaries = [line for line in said if line.split()[:1] and line.split()[0] in own]
        assert not [line for line in summaries if line.endswith("...")]

    def test_plugins_mean_the_same_redis(self, desk: Desk) -> None:
        desk.run("--redis", "redis://there", "schemas", "show", NEWS)
        assert os.environ["SLUICE_REDIS_URL"] == "redis://there"


@pytest.mark.parametrize(("said", "shown"), [("a\nb", "a b"), ("\x1b[31mred", " [31mred"), ("中文 ok", "中文 ok")])
def test_nothing_steers_the_terminal(said: str, shown: str) -> None:
    assert printable(said) == shown


def test_json_is_one_line(desk: Desk) -> None:
    assert orjson.loads(desk.run("status", desk.submit().id).stdout)["v"] == 1
