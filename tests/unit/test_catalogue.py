"""Which schema a ref stands for, on both sides."""

import pytest
from ledger_stage import schema

from sluice_schemas import shelf
from sluice_schemas.catalogue import Catalogue
from sluice_schemas.errors import NotFound
from sluice_schemas.ledger import MemoryLedger


def test_published_schemas_are_found_and_cannot_shadow_what_ships() -> None:
    ledger = MemoryLedger()
    shipped = shelf.find("news/entities-en@1")
    ledger.publish(shipped.model_copy(update={"title": "another"}))
    ledger.publish(schema())
    catalogue = Catalogue(ledger)
    assert catalogue.find(shipped.ref) == shipped
    assert catalogue.find(schema().ref) == schema()
    with pytest.raises(NotFound, match="news/entities-en@1"):
        catalogue.find("news/entities-en@9")
