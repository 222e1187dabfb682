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
    environment.setenv("SLUICE_DELIVERY_SCHEDULE_S", "[1, 2.5]")
    settings = Settings.read()
    assert settings.threads == 3
    assert settings.delivery_schedule_s == (1.0, 2.5)


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
        ("SLUICE_DELIVERY_NETWORKS", '["hunter2"]', "delivery_networks"),  # no network
        ("SLUICE_DELIVERY_SCHEDULE_S", "[hunter2", "delivery_schedule_s.*JSON"),  # not JSON
        ("SLUICE_LINK_SECRET", "hunter2", "link_secret"),  # too short to sign
        ("SLUICE_LINK_URL", "https://user:hunter2@x", "link_url"),  # receivers see it
        ("SLUICE_CHUNK_TOKENS", "", "chunk_tokens"),  # set to nothing
        ("SLUICE_SERVER_URL", "https://user:hunter2@gpu/v1", "server_url"),  # logs show it
        ("SLUICE_SERVER_URL", "https://gpu/v1?key=hunter2", "server_url"),  # and this
    ],
)
def test_a_wrong_value_is_told_without_itself(
    environment: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=said) as caught:
        Settings.read()
    assert "hunter2" not in str(caught.value)


def test_no_secret_stands_in_the_repr(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SLUICE_REDIS_URL", "redis://:hunter2@redis:6379/0")
    environment.setenv("SLUICE_LINK_SECRET", SECRET)
    settings = Settings.read()
    assert settings.link_secret is not None
    assert settings.link_secret.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings)):
        assert "hunter2" not in shown
        assert SECRET not in shown


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.read().threads = 4
