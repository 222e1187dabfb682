"""Redis behind TLS and an ACL: one URL lets the whole system in, and what is not trusted is told nothing."""

import re
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import strict_redis
import trustme
from impostor import Impostor, posing
from kombu.exceptions import OperationalError
from ledger_contract import LedgerContract
from ledger_stage import QUICK, Stage
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis_server import BINARIES
from sluice_processes import started
from strict_redis import IN_URL, PASSWORD, StrictRedis
from sweep_contract import SweepContract
from worker_site import Site

from sluice_producer.ledger import RedisLedger as Producer
from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.ledger import connect
from sluice_schemas.queues import JOB_BELL, CeleryDoorbell
from sluice_worker.ledger import RedisLedger as Worker
from sluice_worker.ledger import RedisOutbox
from sluice_worker.process import redis_check
from sluice_worker.process.station import Exit
from sluice_worker.tasks import app

pytestmark = pytest.mark.timeout(300)

# redis-py tells its name and version, and we look at settings; neither minds a refusal.
OPTIONAL = {"command: client", "command: client|setinfo", "command: config", "command: config|get"}


@pytest.fixture(scope="module")
def strict(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictRedis]:
    strict = strict_redis.start(redis_binary, tmp_path_factory.mktemp("strict"))
    yield strict
    strict.server.kill()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictRedis]:
    """One that surely speaks TLS."""
    binary = next((each for each in BINARIES if strict_redis.speaks_tls(each)), None)
    if binary is None:
        pytest.skip("no redis-server here speaks TLS; Debian's does")
    strict = strict_redis.start(binary, tmp_path_factory.mktemp("secret"))
    yield strict
    strict.server.kill()


def test_document_goes_all_the_way(strict: StrictRedis, tmp_path: Path) -> None:
    site = Site(strict.url(), tmp_path)
    with site.worker() as worker, started(tmp_path, "deliver", redis_url=site.url) as deliverer:
        for each in (worker, deliverer):
            each.await_ready()
        site.succeeds(site.submit())
        for each in (worker, deliverer):
            assert each.stop() == Exit.DONE
            assert PASSWORD not in each.said()
            assert IN_URL not in each.said()
    site.client.close()
    assert set(strict.refused()) <= OPTIONAL


class TestLedgerUnderAcl(LedgerContract, SweepContract):
    """The user in the README may do all that the ledger does."""

    @pytest.fixture
    def stage(self, strict: StrictRedis) -> Iterator[Stage]:
        strict.admin.flushall()
        client = connect(strict.url())
        worker = Worker(client)
        worker.set_limits(QUICK)
        yield Stage(Producer(client), worker, RedisOutbox(client), time.sleep)
        assert set(strict.refused()) <= OPTIONAL


def test_acl_has_every_command_of_the_scripts() -> None:
    lua = files("sluice_schemas.ledger") / "lua"
    called = {name.lower() for each in lua.iterdir() for name in re.findall(r"redis\.call\('(\w+)'", each.read_text())}
    assert len(called) > 15
    assert called <= {rule.removeprefix("+") for rule in strict_redis.acl()}


# What a thief of the user's password might want to do.
BEYOND = [
    ("GET", "another"),
    ("KEYS", "*"),
    ("FLUSHALL",),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("EVAL", "return 1", "0"),
    ("ACL", "LIST"),
    ("MODULE", "LIST"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("SHUTDOWN", "NOSAVE"),
]


def test_acl_lets_into_nothing_else(strict: StrictRedis) -> None:
    # redis-py leaves `execute_command` untyped.
    thief: Any = connect(strict.url())
    for command in BEYOND:
        with pytest.raises(NoPermissionError):
            thief.execute_command(*command)
    # Scripts may be loaded, and may do no more than their caller.
    for body in ("return redis.call('GET', 'another')", "return redis.call('FLUSHALL')"):
        with pytest.raises(ResponseError, match=r"ACL|can't"):
            thief.register_script(body)()
    strict.admin.acl_log_reset()


# What is run, and its exit code when Redis turns it away.
TURNED_AWAY = [
    (("worker",), Exit.MISCONFIGURED),
    (("deliver",), Exit.MISCONFIGURED),
    (("jobs",), 1),
    (("status", "x"), 1),
]


@pytest.mark.parametrize(("command", "code"), TURNED_AWAY, ids=lambda each: str(each))
def test_wrong_password(strict: StrictRedis, tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    with started(tmp_path, *command, redis_url=strict.url("s3same")) as process:
        assert process.process.wait(60) == code
        said = process.said()
    assert said.lower().startswith("error: redis refuses the user or the password of its url. set sluice_redis_url.")
    assert said.count("\n") == 1, "one line, no traceback"
    assert "s3same" not in said


def test_no_password_at_all(strict: StrictRedis) -> None:
    with pytest.raises(Misconfigured, match="Set SLUICE_REDIS_URL"):
        redis_check.demand(connect(strict.server.url))


def test_own_certificate(secret: StrictRedis, tmp_path: Path) -> None:
    ca = secret.server.url.partition("ssl_ca_certs=")[2]
    own = Path(ca).parent / "tls-cert-file.pem", Path(ca).parent / "tls-key-file.pem"
    secret.admin.config_set("tls-auth-clients", "yes")
    try:
        with pytest.raises(Unavailable):
            redis_check.demand(connect(secret.url()))
        url = f"{secret.url()}&ssl_certfile={own[0]}&ssl_keyfile={own[1]}"
        redis_check.demand(connect(url))
        doorbell = CeleryDoorbell(url)
        doorbell.ring(*JOB_BELL)
        assert doorbell.waiting(JOB_BELL.queue) == 1
        doorbell.close()
    finally:
        secret.admin.config_set("tls-auth-clients", "no")


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Impostor]:
    made = strict_redis.certificates(tmp_path, trustme.CA(), "elsewhere.example")
    with posing(made["tls-cert-file"], made["tls-key-file"]) as impostor:
        yield impostor


def check(url: str) -> None:
    redis_check.demand(connect(url))


def ring(url: str) -> None:
    CeleryDoorbell(url).ring(*JOB_BELL)


def consume(url: str) -> None:
    app.make(url, "extract", canary="c").connection().default_channel.client.ping()


# All ways in.
CLIENTS = [check, ring, consume]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("trusted", ["its CA, for another host", "none"])
def test_untrusted_is_told_nothing(
    impostor: Impostor, tmp_path: Path, client: Callable[[str], None], trusted: str
) -> None:
    options = "" if trusted == "none" else f"?ssl_ca_certs={tmp_path}/tls-ca-cert-file.pem"
    with pytest.raises((Misconfigured, Unavailable, OperationalError, RedisError)):
        client(f"rediss://sluice:{IN_URL}@127.0.0.1:{impostor.port}/0{options}")
    assert impostor.callers > 0
    assert impostor.heard == b""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=false"])
def test_trust_cannot_be_switched_off(impostor: Impostor, client: Callable[[str], None], option: str) -> None:
    with pytest.raises(Misconfigured, match="anybody could pose as Redis"):
        client(f"rediss://sluice:{IN_URL}@127.0.0.1:{impostor.port}/0?{option}")
    assert impostor.callers == 0


@pytest.mark.parametrize("command", ["worker", "deliver"])
def test_untrusted_is_refused_for_good(impostor: Impostor, tmp_path: Path, command: str) -> None:
    url = f"rediss://sluice:{IN_URL}@127.0.0.1:{impostor.port}/0"
    with started(tmp_path, command, redis_url=url) as process:
        assert process.process.wait(60) == Exit.MISCONFIGURED
        said = process.said()
    assert said.startswith("error: The certificate of Redis is not trusted, and nothing was sent: ")
    assert "?ssl_ca_certs=FILE" in said
    assert said.count("\n") == 1, "one line, no traceback"
    assert IN_URL not in said
    assert impostor.heard == b""
