"""From the answers to a document's questions to one extraction with every value in its place. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sluice_schemas.document import Document, Language
from sluice_schemas.extraction import Argument, EventMention, Extraction, Mention, Problem, Relation, Span, Usage
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.engine.request import Completion, ModelCard
from sluice_worker.overlap import flat
from sluice_worker.passages import passages
from sluice_worker.plan import Question, level_of
from sluice_worker.protocol.chunk import Chunk
from sluice_worker.protocol.confidence import confidences
from sluice_worker.protocol.ground import Grounder, Place
from sluice_worker.protocol.merge import merge as merge_splits
from sluice_worker.protocol.parse import Parsed, parse
from sluice_worker.protocol.records import (
    EntityRecord,
    EventRecord,
    NodeRecord,
    Record,
    RelationRecord,
    label_of,
    values_of,
)

HAN_SHARE = 0.15
"""A text counts as Chinese from this share of Han characters on: names and numbers are Latin in Chinese news too."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with its completion, or with what went wrong."""

    question: Question
    completion: Completion | None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one chunk says: its merged records, the confidences of their values, and what went wrong."""

    chunk: Chunk
    records: tuple[Record, ...]
    confidences: dict[Record, tuple[float | None, ...]]
    problems: tuple[Problem, ...]


def merge(document: Document, schema: ExtractionSchema, answers: Sequence[Answer], *, card: ModelCard) -> Extraction:
    """One extraction over all chunks and label splits. `job_id` is left empty.

    Raises the first error when no request at all was answered; a failed one among others becomes a problem.
    """
    if all(answer.completion is None for answer in answers):
        raise next(answer.error for answer in answers if answer.error)
    facts = Facts(schema)
    for reading in _readings(schema, answers):
        facts.add(reading)
    entities = facts.flat_entities() if schema.flat else facts.entities.values()
    done = [answer.completion for answer in answers if answer.completion]
    return Extraction(
        job_id="",
        document_id=document.id,
        document_version=document.version,
        schema_ref=schema.ref,
        task=schema.task,
        language=language_of(document.text) if document.language == "auto" else document.language,
        model=card.name,
        decoding=level_of(schema, card),
        entities=tuple(entities),
        relations=tuple(facts.relations.values()),
        events=tuple(facts.events.values()),
        passages=passages(document.text, facts.spans()),
        problems=tuple(facts.problems),
        usage=Usage(
            requests=len(answers),
            prompt_tokens=sum(each.prompt_tokens for each in done),
            completion_tokens=sum(each.completion_tokens for each in done),
        ),
    )


def language_of(text: str) -> Language:
    """`zh` when enough of the visible characters are Han, else `en`."""
    visible = sum(map(len, text.split()))
    han = sum(map(len, _HAN.findall(text)))
    return "zh" if han >= HAN_SHARE * visible else "en"


def _readings(schema: ExtractionSchema, answers: Sequence[Answer]) -> Iterator[Reading]:
    by_chunk: dict[int, list[Answer]] = {}
    for answer in answers:
        by_chunk.setdefault(answer.question.chunk.start, []).append(answer)
    return (_reading(schema, group) for group in by_chunk.values())


def _reading(schema: ExtractionSchema, answers: Sequence[Answer]) -> Reading:
    """The answers to the label splits of one chunk, as one."""
    chunk = answers[0].question.chunk
    parts: list[tuple[Record, ...]] = []
    sure: dict[Record, tuple[float | None, ...]] = {}
    problems: list[Problem] = []
    for answer in answers:
        if answer.completion is None:
            problems.append(_problem("failed_request", chunk, f"A request failed: {answer.error}"))
            continue
        parsed = parse(schema.task, answer.completion.text)
        problems += _faults(parsed, answer.completion, chunk)
        sure |= _sure(parsed.records, answer.completion)
        parts.append(parsed.records)
    return Reading(chunk, merge_splits(parts, [each.name for each in schema.types]), sure, tuple(problems))


def _problem(kind: str, chunk: Chunk, detail: str, raw: str | None = None) -> Problem:
    span = Span(start=chunk.start, end=chunk.end)
    return Problem.model_validate(
        {"kind": kind, "detail": _storable(detail), "chunk": span, "raw": None if raw is None else _storable(raw)}
    )


def _storable(text: str) -> str:
    """With the escapes of halves of surrogate pairs, which a model may write and no message can carry."""
    return text.encode("utf-8", "backslashreplace").decode()


def _faults(parsed: Parsed, completion: Completion, chunk: Chunk) -> Iterator[Problem]:
    if not completion.is_whole:
        yield _problem("cut_answer", chunk, "The answer reached its limit of tokens; what came after is missing.")
    if parsed.how == "unparsed":
        yield _problem("unparsed", chunk, "The answer is not JSON and could not be repaired.", completion.text)
    if parsed.how == "repaired":
        yield _problem("repaired", chunk, "The answer was not valid JSON; it was repaired.", completion.text)
    if parsed.skipped:
        parts = "; ".join(parsed.skipped)
        yield _problem("skipped", chunk, f"Parts of the answer could not be used: {parts}.", completion.text)


def _sure(records: Iterable[Record], completion: Completion) -> dict[Record, tuple[float | None, ...]]:
    """The confidence of each value of each record; of records said twice, that of the first."""
    listed = [*records]
    words = [word for last, record in zip([None, *listed], listed, strict=False) for word in _words(record, last)]
    pieces = [(token.text, token.logprob) for token in completion.tokens]
    found = confidences(completion.text, pieces, [text for text, _ in words])
    of_values = iter(sure for sure, (_, is_value) in zip(found, words, strict=True) if is_value)
    sure: dict[Record, tuple[float | None, ...]] = {}
    for record in listed:
        sure.setdefault(record, tuple(next(of_values) for _ in values_of(record)))
    return sure


def _words(record: Record, last: Record | None) -> Iterator[tuple[str, bool]]:
    """What the answer names for a record, in order, and whether it is a value: labels are passed over as such.

    Without them the trigger "acquired" would be found in its own label "acquired", which the schema dictates.
    """
    if last is None or label_of(last) != label_of(record):
        yield label_of(record), False
    values = values_of(record)
    pairs = _pairs(record)
    yield from ((value, True) for value in values[: len(values) - len(pairs)])
    named = None
    for value, name in pairs:
        if name != named:
            yield name, False
        named = name
        yield value, True


def _pairs(record: Record) -> tuple[tuple[str, str], ...]:
    """The (value, name) pairs that end a record: an event's arguments, a node's attributes."""
    match record:
        case EventRecord():
            return record.arguments
        case NodeRecord():
            return record.attributes
    return ()


class Facts:
    """Collects the facts of a document chunk by chunk. What two overlapping chunks both say stands once."""

    def __init__(self, schema: ExtractionSchema) -> None:
        self.entities: dict[object, Mention] = {}
        self.relations: dict[object, Relation] = {}
        self.events: dict[object, EventMention] = {}
        self.problems: list[Problem] = []
        self._types: dict[str, list[Type]] = {}
        for each in schema.types:
            self._types.setdefault(each.name, []).append(each)

    def add(self, reading: Reading) -> None:
        """Grounds the records of one chunk in its text and joins them to the rest."""
        self.problems += reading.problems
        place = Placer(reading)
        for record in reading.records:
            if label_of(record) not in self._types:
                detail = f"The model answered under {label_of(record)!r:.80}, which was not asked: {values_of(record)}."
                self.problems.append(_problem("unknown_label", reading.chunk, detail))
                continue
            self._add(record, place)
        self.problems += place.problems()

    def spans(self) -> Iterator[Span]:
        """Where all its values stand."""
        relations = (end for each in self.relations.values() for end in (each.head, each.tail))
        events = (value for each in self.events.values() for _, value in each.named_values())
        mentions = chain(self.entities.values(), relations, events)
        return (each.span for each in mentions if each.span)

    def flat_entities(self) -> list[Mention]:
        """The entities without overlaps; each that is left out becomes a problem."""
        kept, left_out = flat([*self.entities.values()])
        for each in left_out:
            detail = f"{each.text!r} as {each.type!r} overlaps an entity that the model was surer of."
            self.problems.append(Problem(kind="overlapping", detail=detail, chunk=each.span))
        return kept

    def _add(self, record: Record, place: "Placer") -> None:
        match record:
            case EntityRecord():
                mention = place.entity(record)
                self.entities.setdefault(_key(mention), mention)
            case RelationRecord():
                asked = self._types[record.relation]
                head_type = _agreed(each.subject_type for each in asked)
                relation = place.relation(record, head_type, _agreed(each.object_type for each in asked))
                self.relations.setdefault((relation.type, _key(relation.head), _key(relation.tail)), relation)
            case NodeRecord():
                self._add_node(record, place)
            case EventRecord():
                self._add_event(place.event(record), place)

    def _add_node(self, record: NodeRecord, place: "Placer") -> None:
        asked = {part.name for each in self._types[record.type] for part in each.attributes}
        kept = tuple(pair for pair in record.attributes if pair[1] in asked)
        for value, name in record.attributes:
            if name not in asked:
                self._not_asked(f"The model gave {record.type!r} an attribute", name, value, place.chunk)
        entity, relations = place.node(record, kept)
        self.entities.setdefault(_key(entity), entity)
        for relation in relations:
            self.relations.setdefault((relation.type, _key(relation.head), _key(relation.tail)), relation)

    def _add_event(self, event: EventMention, place: "Placer") -> None:
        roles = {role.name for asked in self._types[event.type] for role in asked.roles}
        arguments = tuple(each for each in event.arguments if not roles or each.role in roles)
        for each in event.arguments:
            if roles and each.role not in roles:
                self._not_asked(f"The model gave {event.type!r} a role", each.role, each.value.text, place.chunk)
        kept = event.model_copy(update={"arguments": arguments})
        said = tuple((each.role, _key(each.value)) for each in arguments)
        key = (event.type, _key(event.trigger), said)
        self.events.setdefault(key, kept)

    def _not_asked(self, what: str, name: str, value: str, chunk: Chunk) -> None:
        detail = f"{what} {name!r:.80}, which was not asked: {value!r}."
        self.problems.append(_problem("unknown_label", chunk, detail))


def _agreed(types: Iterable[str | None]) -> str | None:
    """SPO may ask one predicate between several pairs of types, and an answer does not say which: then None."""
    found = {*types}
    return found.pop() if len(found) == 1 else None


def _key(mention: Mention | None) -> object:
    """What makes two mentions one: the type and the place, or the words where there is no place."""
    return mention and (mention.type, (mention.span.start, mention.span.end) if mention.span else mention.text)


class Placer:
    """Gives the values of one chunk's records their places in the document."""

    def __init__(self, reading: Reading) -> None:
        self.chunk = reading.chunk
        self._grounder = Grounder(reading.chunk.text)
        self._confidences = reading.confidences
        self._absent: list[str] = []

    def entity(self, record: EntityRecord) -> Mention:
        """Successive mentions of one value under one type take successive places."""
        (sure,) = self._sure(record)
        place = self._grounder.successive(record.text, said_as=record.type)
        return self._mention(place, record.text, sure, record.type)

    def relation(self, record: RelationRecord, head_type: str | None, tail_type: str | None) -> Relation:
        """The two ends take the places that lie nearest to each other."""
        head, tail = self._grounder.nearest_pair(record.head, record.tail)
        head_sure, tail_sure = self._sure(record)
        return Relation(
            type=record.relation,
            head=self._mention(head, record.head, head_sure, head_type),
            tail=self._mention(tail, record.tail, tail_sure, tail_type),
        )

    def event(self, record: EventRecord) -> EventMention:
        """Arguments take the place nearest to the trigger."""
        sure = iter(self._sure(record))
        trigger, anchor = None, None
        if record.trigger:
            anchor = self._grounder.successive(record.trigger, said_as=record.type)
            trigger = self._mention(anchor, record.trigger, next(sure))
        arguments = [
            Argument(role=role, value=self._mention(self._grounder.nearest(value, anchor), value, next(sure)))
            for value, role in record.arguments
        ]
        return EventMention(type=record.type, trigger=trigger, arguments=tuple(arguments))

    def node(self, record: NodeRecord, kept: Sequence[tuple[str, str]]) -> tuple[Mention, list[Relation]]:
        """An entity of a knowledge graph, and one relation for each value of the attributes `kept`."""
        head_sure, *sure = self._sure(record)
        place, asked = self._grounder.place(record.text), {*kept}
        head = self._mention(place, record.text, head_sure, record.type)
        relations = [
            Relation(type=name, head=head, tail=self._mention(self._grounder.nearest(value, place), value, each))
            for (value, name), each in zip(record.attributes, sure, strict=True)
            if (value, name) in asked
        ]
        return head, relations

    def problems(self) -> Iterator[Problem]:
        """One problem for all values that stand nowhere in the chunk."""
        if self._absent:
            values = ", ".join(map(repr, dict.fromkeys(self._absent)))
            yield _problem("ungrounded", self.chunk, f"Not found in the text: {values}.")

    def _sure(self, record: Record) -> tuple[float | None, ...]:
        return self._confidences.get(record) or (None,) * len(values_of(record))

    def _mention(self, place: Place | None, text: str, sure: float | None, type_: str | None = None) -> Mention:
        confidence = None if sure is None else round(min(1.0, sure), 4)
        if place is None:
            self._absent.append(text)
            return Mention(text=text, type=type_, confidence=confidence)
        here = place.shifted(self.chunk.start)
        span = Span(start=here.start, end=here.end)
        return Mention(text=text, type=type_, span=span, status=here.status, confidence=confidence)
