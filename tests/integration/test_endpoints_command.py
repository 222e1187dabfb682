"""`sluice endpoints` and `sluice deliveries` on a real Redis, as ops run them."""

import orjson
import pytest
from delivery_stage import SECRET
from ledger_stage import Stage
from redis import Redis
from redis_stage import stage_on
from sluice_processes import ran
from webhook_inbox import receiving

from sluice_schemas.ledger import Receipt
from sluice_schemas.queues import DELIVER_QUEUE


@pytest.fixture
def stage(redis: Redis, redis_url: str) -> Stage:
    made = stage_on(redis)
    for name in ("kb", "audit"):
        made.outbox.remove_endpoint(name)
    return made


def test_an_endpoint_from_its_registration_to_its_end(stage: Stage, redis_url: str) -> None:
    added = ran(redis_url, "endpoints", "add", "kb", "https://kb.example/x", "--schema", "news/e", "--batch", "5")
    assert (added.returncode, added.stdout) == (0, "kb is registered.\n")
    assert "Set SLUICE_SECRET_KB" in added.stderr, "and what is still to do"
    refused = ran(redis_url, "endpoints", "add", "kb", "https://other.example/")
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    other = ("endpoints", "add", "kb", "https://other.example/", "--replace")
    assert ran(redis_url, *other, SLUICE_SECRET_KB=SECRET).stderr == ""
    assert ran(redis_url, "endpoints", "pause", "kb").stdout == "kb is paused.\n"
    (listed,) = map(orjson.loads, ran(redis_url, "endpoints", "list").stdout.splitlines())
    assert (listed["endpoint"]["url"], listed["state"]) == ("https://other.example/", "paused")
    assert ran(redis_url, "endpoints", "resume", "kb").stdout == "kb is active.\n"
    assert ran(redis_url, "endpoints", "remove", "kb").stdout == "kb is removed.\n"
    gone = ran(redis_url, "endpoints", "pause", "kb")
    assert (gone.returncode, "No endpoint is registered as 'kb'" in gone.stderr) == (1, True)


def test_plain_http_and_a_bad_name_are_refused_in_a_sentence(stage: Stage, redis_url: str) -> None:
    for arguments, said in ((("kb", "http://kb.example/"), "plain http"), (("K B", "https://kb.example/"), "name")):
        done = ran(redis_url, "endpoints", "add", *arguments)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_test_post_is_signed_and_its_answer_told(stage: Stage, redis_url: str) -> None:
    told = {"SLUICE_SECRET_KB": SECRET, "SLUICE_DELIVERY_NETWORKS": '["127.0.0.0/8"]'}
    with receiving(SECRET) as inbox:
        ran(redis_url, "endpoints", "add", "kb", inbox.url, "--allow-http")
        taken = ran(redis_url, "endpoints", "test", "kb", **told)
        assert taken.returncode == 0
        assert taken.stdout.startswith("kb took it, in ")
        away = ran(redis_url, "endpoints", "test", "kb", SLUICE_SECRET_KB=SECRET)
    assert away.returncode == 1
    assert "SLUICE_DELIVERY_NETWORKS" in away.stderr
    refused = ran(redis_url, "endpoints", "test", "kb", **told)
    assert (refused.returncode, "ConnectError" in refused.stderr) == (1, True)


def failed(stage: Stage, count: int) -> list[str]:
    """Deliveries that were given up, the latest first."""
    ids: list[str] = []
    for number in range(count):
        stage.committed(str(number))
        given = stage.consignment()
        stage.settle(given, Receipt("refused", "The receiver answered 500."), delay_s=None)
        ids.insert(0, given.claims[0].id)
    stage.outbox.resume_endpoint("kb")
    return ids


def test_failed_deliveries_are_shown_and_sent_again(stage: Stage, redis: Redis, redis_url: str) -> None:
    ran(redis_url, "endpoints", "add", "kb", "https://kb.example/")
    ids = failed(stage, 3)
    rows = [orjson.loads(line) for line in ran(redis_url, "deliveries", "list").stdout.splitlines()]
    assert [row["id"] for row in rows] == ids
    assert {row["reason"] for row in rows} == {"The receiver answered 500."}
    assert all("body" not in row for row in rows)
    shown = orjson.loads(ran(redis_url, "deliveries", "show", ids[0]).stdout)
    assert shown["body"]["type"] == "extraction.completed"
    assert ran(redis_url, "deliveries", "list", "--endpoint", "other").stdout == ""
    one = ran(redis_url, "deliveries", "replay", "no-such", ids[0])
    assert (one.returncode, one.stdout) == (1, "1 deliveries wait for their endpoints again.\n")
    assert "not among the failed" in one.stderr
    assert redis.llen(f"sluice:{DELIVER_QUEUE}") == 1
    rest = ran(redis_url, "deliveries", "replay", "--since", "1h", "--endpoint", "kb")
    assert (rest.returncode, rest.stdout) == (0, "2 deliveries wait for their endpoints again.\n")
    assert stage.outbox.endpoint("kb").waiting == 3


@pytest.mark.parametrize("arguments", [(), ("x", "--since", "1h"), ("--since", "yesterday")])
def test_what_to_replay_must_be_said_once(redis_url: str, arguments: tuple[str, ...]) -> None:
    assert ran(redis_url, "deliveries", "replay", *arguments).returncode == 2
