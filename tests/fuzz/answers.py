"""What a model may answer, for each task, taken all the way into an extraction."""

from sluice_schemas.document import Document
from sluice_schemas.extraction import Extraction
from sluice_schemas.schema import ExtractionSchema, Task
from sluice_worker.engine.request import Completion, ModelCard, Token
from sluice_worker.harvest import Answer, merge
from sluice_worker.plan import Question
from sluice_worker.protocol.chunk import Chunk
from sluice_worker.protocol.parse import parse, parse_strict
from sluice_worker.protocol.prompt import render

TEXT = "Ann Lee joined Acme Group in Paris, in 1999. 李四在巴黎加入极光公司。Bob"
"""The text where an answer comes without one; else the two are parted by an empty line."""

CARD = ModelCard("fuzz", context_tokens=100_000, chunk_tokens=50_000, answer_tokens=1_000)

ROLES = [{"name": "who"}, {"name": "when"}]
TYPES: dict[Task, list[object]] = {
    "NER": [{"name": "person"}, {"name": "地点"}],
    "RE": [{"name": "joined"}],
    "SPO": [{"name": "joined", "subject_type": "person", "object_type": "company"}],
    "EE": [{"name": "join", "roles": ROLES}, {"name": "leave"}],
    "EET": [{"name": "join"}],
    "EEA": [{"name": "join", "roles": ROLES}],
    "KG": [{"name": "person", "attributes": [{"name": "joined"}]}],
}
SCHEMAS: dict[Task, ExtractionSchema] = {
    task: ExtractionSchema.of({"id": "f", "version": 1, "task": task, "language": "en", "types": types})
    for task, types in TYPES.items()
}

_PAIRS = '{"joined": [{"head": "Ann Lee", "tail": "Acme Group"}, {"subject": "李四", "object": "极光公司"}]}'
_EVENTS = '{"join": [{"trigger": "joined", "arguments": {"who": ["Ann Lee", "NAN"], "when": "in 1998"}}]}'
ANSWERS: dict[Task, tuple[str, ...]] = {
    "NER": (
        '{"person": ["Ann Lee", "李四", "Ann Leee", "ann lee"], "地点": ["Paris"], "z": [1]}',
        'It is: ```json\n{“person”：[“Ann Lee”，“Bob”],}``` {"地点": [007, "巴',
    ),
    "RE": (_PAIRS,),
    "SPO": (_PAIRS,),
    "EE": (
        _EVENTS,
        _EVENTS.replace('"join"', '"leave"'),
        '{"join": [{"trigger": "NAN", "arguments": {"who": 3}}, {"x": null}]}',
    ),
    "EET": ('{"join": ["joined", "加入"]}',),
    "EEA": ('{"join": [{"arguments": {"who": "Bob"}}]}', '{"join": [{"trigger": "joined", "who": "Ann Lee"}]}'),
    "KG": ('{"person": {"Ann Lee": {"joined": ["Acme Group", "无"]}, "Bob": {}}}',),
}


def read(task: Task, raw: bytes) -> Extraction | None:
    """The extraction of an answer in its text, written and read again; None where the text is no document."""
    text, _, answer = raw.decode("utf-8", "surrogateescape").rpartition("\n\n")
    parse_strict(task, answer)
    parse(task, answer)
    try:
        document = Document(id="d", text=text or TEXT)
    except ValueError:  # what a document may not be is another target's business
        return None
    whole = Chunk(0, len(document.text), document.text)
    question = Question(whole, SCHEMAS[task].types, render(""), None, is_distinct=False)
    completion = Completion(answer, tuple(Token(char, -0.1) for char in answer), True, 1)
    found = merge(document, SCHEMAS[task], [Answer(question, completion)], card=CARD)
    for each in found.entities:
        assert each.span is None or each.span.end <= len(document.text)
    return Extraction.decode(found.encode())
