"""One URL for redis-py and kombu: both read the same from it, nothing weakens TLS, nothing tells the password."""

from pathlib import Path
from ssl import CERT_REQUIRED

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from kombu.utils.url import safequote
from redis import ConnectionPool
from redis.connection import SSLConnection

from sluice_schemas.errors import Misconfigured
from sluice_schemas.queues import CeleryDoorbell
from sluice_schemas.redis_access import checked, masked
from sluice_worker.tasks import app

VERIFIED = "ssl_cert_reqs=required&ssl_check_hostname=true"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    file = tmp_path / "c a;+.pem"
    file.touch()
    return file


# As ops write it; the form that both libraries read alike.
PLAIN = [
    ("redis://h", "redis://h:6379/0"),
    ("redis://h:7/3", "redis://h:7/3"),
    ("redis://h/", "redis://h:6379/0"),
    ("redis:///1", "redis://127.0.0.1:6379/1"),
    ("redis://[::1]:7/0", "redis://[::1]:7/0"),
    # a password without a user is the default user's
    ("redis://:s@h", "redis://:s@h:6379/0"),
    ("redis://u@h", "redis://u@h:6379/0"),
    # kombu takes what follows a semicolon for another server
    ("redis://u:a;b@h", "redis://u:a%3Bb@h:6379/0"),
    ("redis://u:a%40%2F@h", "redis://u:a%40%2F@h:6379/0"),
    ("rediss://h", f"rediss://h:6379/0?{VERIFIED}"),
    ("rediss://h?ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=True", f"rediss://h:6379/0?{VERIFIED}"),
]


@pytest.mark.parametrize(("url", "form"), PLAIN)
def test_form(url: str, form: str) -> None:
    assert checked(url) == form
    assert checked(form) == form


SECRET = "hunter2"
REFUSED = [
    # what is wrong with it; what is said
    (f"redis+cluster://:{SECRET}@h", "must start with redis://"),
    (f"unix://:{SECRET}@/tmp/redis", "must start with redis://"),
    # characters that end a password early, so that a part of it stands where a port, a path or options should
    (f"redis://u:{SECRET}/x@h/0", "%2F"),
    (f"redis://u:12/{SECRET}@h/0", "%2F"),
    (f"redis://u:12#{SECRET}@h/0", "%23"),
    (f"redis://u:12?{SECRET}@h/0", "%3F"),
    (f"redis://u:12?{SECRET}=@h/0", "must start with rediss://"),
    (f"rediss://u:12?{SECRET}=@h/0", "and nothing else"),
    (f"redis://u:{SECRET}@h:port/0", "cannot be read"),
    (f"redis://u:{SECRET}@h/queues", "cannot be read"),
    # one library knows it and the other does not
    (f"redis://u:{SECRET}@h?db=1", "must start with rediss://"),
    (f"rediss://u:{SECRET}@h?socket_timeout=1", "and nothing else"),
    # TLS that was asked for and would not be there
    (f"redis://u:{SECRET}@h?ssl_ca_certs=/etc/hostname", "must start with rediss://"),
    (f"rediss://u:{SECRET}@h?ssl_cert_reqs=none", "ssl_cert_reqs of the Redis URL must be required"),
    (f"rediss://u:{SECRET}@h?ssl_cert_reqs=CERT_OPTIONAL", "ssl_cert_reqs of the Redis URL must be required"),
    (f"rediss://u:{SECRET}@h?ssl_check_hostname=false", "ssl_check_hostname of the Redis URL must be true"),
    (f"rediss://u:{SECRET}@h?ssl_ca_certs=/no/file", "must name a file, and /no/file is none"),
]


@pytest.mark.parametrize(("url", "said"), REFUSED)
def test_refused_without_quoting_the_password(url: str, said: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        checked(url)
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None, "a traceback would show what was taken for a port"


@given(user=st.text(min_size=1), password=st.text(min_size=1))
def test_both_libraries_read_the_same(user: str, password: str) -> None:
    url = checked(f"redis://{safequote(user)}:{safequote(password)}@h:7/3")
    kombu, redis = Connection(url), ConnectionPool.from_url(url).connection_kwargs
    assert (kombu.userid, kombu.password, kombu.hostname, kombu.port, kombu.virtual_host) == (
        *(user, password, "h", 7, "3"),
    )
    assert (redis["username"], redis["password"], redis["host"], redis["port"], redis["db"]) == (
        *(user, password, "h", 7, 3),
    )


def test_both_libraries_verify_the_certificate(ca: Path) -> None:
    url = f"rediss://u:p@h?ssl_ca_certs={safequote(str(ca))}"
    ssl = {"ssl_cert_reqs": CERT_REQUIRED, "ssl_check_hostname": True, "ssl_ca_certs": str(ca)}
    doorbell = CeleryDoorbell(url)
    for connection in (doorbell._connection, app.make(url, "extract", canary="c").connection()):
        assert connection.ssl == ssl
    pool = ConnectionPool.from_url(checked(url))
    assert pool.connection_class is SSLConnection
    assert {name: pool.connection_kwargs[name] for name in ssl} == {**ssl, "ssl_cert_reqs": "required"}
    doorbell.close()


def test_masked() -> None:
    assert masked("rediss://u:p%40@h:7/0?ssl_ca_certs=/ca.pem") == "rediss://u:***@h:7/0?ssl_ca_certs=/ca.pem"
    assert masked("redis://h:7/0") == "redis://h:7/0"
