"""A knowledge base beside the rest: what its processes are told."""

import orjson
import pytest

from sluice_schemas.errors import Misconfigured
from sluice_worker.delivery.signing import Secrets
from sluice_worker.process import knowledge


def test_both_sides_get_one_new_secret_and_networks_are_kept() -> None:
    told = knowledge.environment({"A": "b", "SLUICE_DELIVERY_NETWORKS": '["10.0.0.0/8"]'})
    (secret,) = Secrets(told).of(knowledge.NAME)
    assert told["SLUICE_KNOWLEDGE_SECRET"] == secret.get_secret_value()
    assert orjson.loads(told["SLUICE_DELIVERY_NETWORKS"]) == ["10.0.0.0/8", "127.0.0.0/8"]
    assert told["A"] == "b"
    assert knowledge.environment({})["SLUICE_KNOWLEDGE_SECRET"] != told["SLUICE_KNOWLEDGE_SECRET"]


@pytest.mark.parametrize("networks", ["10.0.0.0/8", "7"])
def test_networks_that_are_no_list_are_told(networks: str) -> None:
    with pytest.raises(Misconfigured, match="SLUICE_DELIVERY_NETWORKS"):
        knowledge.environment({"SLUICE_DELIVERY_NETWORKS": networks})
