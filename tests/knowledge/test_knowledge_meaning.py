"""What an event means is decided here: not by the JSON-LD that comes with it."""

from knowledge.knowledge_events import completed

from sluice_knowledge.graph import quads_of
from sluice_schemas.linked_data import CONTEXT


def test_the_context_that_is_sent_changes_no_meaning() -> None:
    event = completed(("Ada", "lives in", "Rome"))
    hostile = {"@context": {**CONTEXT, "@vocab": "urn:evil:"}, "@graph": [{"@id": "urn:evil:x", "label": "y"}]}
    assert {*quads_of(event.model_copy(update={"linked_data": hostile}))} == {*quads_of(event)}
    assert quads_of(event)
