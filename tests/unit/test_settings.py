"""Settings: a slip is told at start, and secrets stay out of what is printed."""

import os

import pytest
from click.testing import CliRunner

from sluice_schemas.errors import Misconfigured
from sluice_worker.commands.doctor import doctor
from sluice_worker.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without settings, whatever the test run was started with."""
    for name in [name for name in os.environ if name.upper().startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_defaults_are_for_production() -> None:
    settings = Settings.read()
    assert (settings.model, settings.dtype, settings.chunk_tokens) == ("sluice-tiny", "auto", None)


def test_values_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SLUICE_THREADS", "3")
    environment.setenv("SLUICE_ENDPOINTS", '{"kb": {"url": "https://kb.example/hook"}}')
    settings = Settings.read()
    assert settings.threads == 3
    assert settings.endpoints["kb"].url == "https://kb.example/hook"


LISTED = r"`sluice doctor --help` lists them all\."


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["SLUICE_THREAD"], rf"SLUICE_THREAD\. Did you mean SLUICE_THREADS\? {LISTED}"),  # a slip
        (["SLUICE_threads"], rf"SLUICE_threads\. Did you mean SLUICE_THREADS\? {LISTED}"),  # in small letters
        (["SLUICE_QQ"], rf"SLUICE_QQ\. {LISTED}"),  # like none
        (["SLUICE_MODELL", "SLUICE_QQ"], rf"SLUICE_MODELL, SLUICE_QQ\. Did you mean SLUICE_MODEL\? {LISTED}"),
    ],
)
def test_a_name_nobody_knows_is_an_error(environment: pytest.MonkeyPatch, names: list[str], said: str) -> None:
    for name in names:
        environment.setenv(name, "1")
    with pytest.raises(Misconfigured, match=rf"^No such setting: {said}$"):
        Settings.read()


def test_the_doctors_help_lists_every_setting() -> None:
    shown = CliRunner().invoke(doctor, ["--help"]).output
    for name in ("SLUICE_REDIS_URL", "SLUICE_LOG_LEVEL", "SLUICE_SECRET_<ENDPOINT>"):
        assert name in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_secrets_and_the_tests_own_variable_are_no_settings(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SLUICE_SECRET_KB", SECRET)
    environment.setenv("SLUICE_GOLDEN", "/somewhere")
    environment.setenv("OTHER_THING", "1")
    Settings.read()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SLUICE_THREADS", "hunter2", "threads: .*integer"),  # no number
        ("SLUICE_THREADS", "0", "threads: .*greater than or equal to 1"),  # out of range
        ("SLUICE_DTYPE", "float16", "dtype: .*'auto', 'bfloat16' or 'float32'"),  # OneKE repeats endlessly in it
        ("SLUICE_DEVICE", "hunter2", "device: .*'auto', 'cpu' or 'cuda'"),  # no such device
        ("SLUICE_ENDPOINTS", '{"kb": {"url": "ftp://hunter2"}}', r"endpoints\.kb\.url"),  # no web address
        ("SLUICE_ENDPOINTS", '{"kb": {"url": "https://x", "hunter2": 1}}', "endpoints"),  # a field nobody knows
        ("SLUICE_ENDPOINTS", '{"hunter2', "endpoints.*JSON"),  # not JSON
        ("SLUICE_CHUNK_TOKENS", "", "chunk_tokens"),  # set to nothing
    ],
)
def test_a_wrong_value_is_told_without_itself(
    environment: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=said) as caught:
        Settings.read()
    shown = str(caught.value).replace("endpoints.kb.hunter2", "")  # the name of a field is no value
    assert "hunter2" not in shown


def test_no_secret_stands_in_the_repr(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SLUICE_REDIS_URL", "redis://:hunter2@redis:6379/0")
    environment.setenv("SLUICE_ENDPOINTS", '{"kb": {"url": "https://hooks.example/T00/hunter2"}}')
    environment.setenv("SLUICE_SECRET_KB", SECRET)
    settings = Settings.read()
    secret = settings.secret("kb")
    assert secret.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings), repr(secret), str(secret)):
        assert "hunter2" not in shown
        assert SECRET not in shown


def test_an_endpoint_without_its_secret_says_which_to_set() -> None:
    with pytest.raises(Misconfigured, match="Set SLUICE_SECRET_MY_KB to"):
        Settings.read().secret("my-kb")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.read().threads = 4
