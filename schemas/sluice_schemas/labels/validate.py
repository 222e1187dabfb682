"""Holds a label against its schema and its text before it is kept.

Errors name the value by where it stands in the label, never by text of the document: they may end in a log.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Argument, EventMention, Mention, Relation, Span
from sluice_schemas.label import Label
from sluice_schemas.labels import utf16
from sluice_schemas.labels.places import Places
from sluice_schemas.schema import CONTROL, ExtractionSchema, Task, Type

MOST_FAULTS = 5
FACTS: dict[Task, tuple[str, ...]] = {
    "NER": ("entities",),
    "RE": ("relations",),
    "SPO": ("relations",),
    "EE": ("events",),
    "EET": ("events",),
    "EEA": ("events",),
    "KG": ("entities", "relations"),
}
"""What a label of a task may hold."""


def checked(label: Label, schema: ExtractionSchema) -> Label:
    """The label as it is kept: each value reads as the text does at its span.

    A value without a span gets the first free place at which it stands; one that a model had found only nearly (status
    `normalised` or `fuzzy`) reads as the text does there. Raises `BadInput`, which names what is wrong and where.
    """
    check = _Check(label, schema)
    entities = [*check.entities()]
    relations = [*check.relations(entities)]
    events = [*check.events()]
    check.repeated("entities", entities)
    check.repeated("relations", relations)
    check.repeated("events", events)
    if check.faults:
        more = f"; and {len(check.faults) - MOST_FAULTS} more" if len(check.faults) > MOST_FAULTS else ""
        raise BadInput(f"This label does not fit {schema.ref}. {'; '.join(check.faults[:MOST_FAULTS])}{more}.")
    facts = {"entities": tuple(entities), "relations": tuple(relations), "events": tuple(events)}
    return label.model_copy(update=facts)


class _Check:
    """Goes through one label; `faults` are sentences."""

    def __init__(self, label: Label, schema: ExtractionSchema) -> None:
        self._label, self._schema = label, schema
        self._text = label.document.text
        self._places = Places(self._text)
        self._types: dict[str, list[Type]] = {}
        for each in schema.types:
            self._types.setdefault(each.name, []).append(each)
        self.faults: list[str] = [*self._head()]

    def entities(self) -> Iterator[Mention]:
        taken: dict[str | None, set[Span | None]] = {}
        for each in self._label.entities:
            taken.setdefault(each.type, set()).add(each.span)
        for number, each in enumerate(self._label.entities):
            path, used = f"entities[{number}]", taken[each.type]
            self._known(path, "type", each.type, self._types)
            # Where it stands nowhere else it is one that was given already, and `repeated` says so.
            placed = self._placed(path, each, partial(self._places.free_or_first, taken=used))
            used.add(placed.span)
            yield placed

    def relations(self, entities: Sequence[Mention]) -> Iterator[Relation]:
        attributes = [part.name for each in self._schema.types for part in each.attributes]
        for number, each in enumerate(self._label.relations):
            path = f"relations[{number}]"
            self._known(path, "type", each.type, attributes if self._schema.task == "KG" else self._types)
            if self._schema.task == "SPO":
                each = self._typed(path, each)
            elif self._schema.task == "KG":
                each = self._of_node(path, each, entities)
            head, tail = self._ends(path, each)
            yield Relation(type=each.type, head=head, tail=tail)

    def events(self) -> Iterator[EventMention]:
        used: set[Span | None] = set()
        for number, each in enumerate(self._label.events):
            path = f"events[{number}]"
            self._known(path, "type", each.type, self._types)
            self._shaped(path, each)
            trigger = each.trigger and self._placed(
                f"{path}.trigger", each.trigger, partial(self._places.free_or_first, taken=used)
            )
            anchor = trigger.span if trigger else None
            if anchor:
                used.add(anchor)
            yield EventMention(type=each.type, trigger=trigger, arguments=tuple(self._arguments(path, each, anchor)))

    def repeated(self, kind: str, facts: Sequence[object]) -> None:
        first: dict[object, int] = {}
        for number, fact in enumerate(facts):
            before = first.setdefault(fact, number)
            if before != number:
                self.faults.append(f"{kind}[{number}] says the same as {kind}[{before}]: keep one")

    def _head(self) -> Iterator[str]:
        if self._label.schema_ref != self._schema.ref:
            yield f"it is made under {self._label.schema_ref[:80]!r}"
        for name, value in (("author", self._label.author), ("document.id", self._label.document.id)):
            if CONTROL.search(value):
                yield f"{name} holds a control character: remove it"
        asked = FACTS[self._schema.task]
        for kind in ("entities", "relations", "events"):
            if kind not in asked and getattr(self._label, kind):
                yield f"it has {kind}, and a schema of {self._schema.task} asks for {' and '.join(asked)}"

    def _known(self, path: str, what: str, name: str | None, known: Collection[str]) -> None:
        if name not in known:
            some = ", ".join([*known][:8]) + (", ..." if len(known) > 8 else "")
            self.faults.append(f"{path}: the schema has no {what} {(name or '')[:80]!r}; it has {some}")

    def _typed(self, path: str, relation: Relation) -> Relation:
        """A predicate with both its types; they may be left out where there is one pair."""
        asked = [(each.subject_type, each.object_type) for each in self._types.get(relation.type, ())]
        given = (relation.head.type, relation.tail.type)
        if given == (None, None) and len(asked) == 1:
            given = asked[0]
        if asked and given not in asked:
            pairs = ", ".join(f"{head} and {tail}" for head, tail in asked[:8])
            self.faults.append(f"{path}: {relation.type!r} stands between {pairs}; say so in head.type and tail.type")
        head, tail = (
            end.model_copy(update={"type": type_})
            for end, type_ in zip((relation.head, relation.tail), given, strict=True)
        )
        return Relation(type=relation.type, head=head, tail=tail)

    def _of_node(self, path: str, relation: Relation, entities: Sequence[Mention]) -> Relation:
        """An attribute with its entity's type and place, which are those of the entity of that name if left out."""
        head = relation.head
        owners = [each.name for each in self._schema.types if relation.type in {part.name for part in each.attributes}]
        same = next((each for each in entities if each.text == head.text and head.type in (None, each.type)), None)
        type_ = head.type or (same.type if same else None) or (owners[0] if len(owners) == 1 else None)
        if owners and type_ not in owners:
            self.faults.append(f"{path}.head: {relation.type!r} belongs to {' and '.join(owners)}; give its type")
        if head.span is None and same is not None:
            head = same
        return relation.model_copy(update={"head": head.model_copy(update={"type": type_})})

    def _ends(self, path: str, relation: Relation) -> tuple[Mention, Mention]:
        """Both ends; one without a span stands as near to the other as it can."""
        head, tail = relation.head, relation.tail
        pair = self._places.pair(head.text, tail.text) if head.span is None and tail.span is None else (None, None)
        first = self._placed(f"{path}.head", head, lambda value: pair[0] or self._places.nearest(value, tail.span))
        second = self._placed(f"{path}.tail", tail, lambda value: pair[1] or self._places.nearest(value, first.span))
        return first, second

    def _shaped(self, path: str, event: EventMention) -> None:
        if self._schema.task == "EET" and (event.trigger is None or event.arguments):
            self.faults.append(f"{path}: EET asks for a trigger and no arguments")
        if event.trigger is None and not event.arguments:
            self.faults.append(f"{path}: it has neither trigger nor arguments")

    def _arguments(self, path: str, event: EventMention, anchor: Span | None) -> Iterator[Argument]:
        roles = {role.name for each in self._types.get(event.type, ()) for role in each.roles}
        for number, each in enumerate(event.arguments):
            here = f"{path}.arguments[{number}]"
            if roles:  # a type without roles takes any, as its results do
                self._known(here, "role", each.role, sorted(roles))
            value = self._placed(here, each.value, lambda value: self._places.nearest(value, anchor))
            yield Argument(role=each.role, value=value)

    def _placed(self, path: str, mention: Mention, find: Callable[[str], Span | None]) -> Mention:
        span = mention.span or find(mention.text)
        named = f"{path} ({mention.type[:80]!r})" if mention.type else path
        if span is None:
            self.faults.append(f"{named}: its value stands nowhere in the text; give one that does, or leave it out")
            return mention
        at = f"{named} [{span.start}, {span.end})"
        if span.end > len(self._text):
            self.faults.append(f"{at}: the text has {len(self._text)} characters{self._advice(mention, span)}")
            return mention
        found = self._text[span.start : span.end]
        if mention.status == "exact" and found != mention.text:
            self.faults.append(f"{at}: something else stands there{self._advice(mention, span)}")
            return mention
        return Mention(text=found, type=mention.type, span=span, status="exact")

    def _advice(self, mention: Mention, span: Span) -> str:
        meant = utf16.from_units(self._text, span)
        if meant and self._text[meant.start : meant.end] == mention.text:
            return ", but it fits if it counts UTF-16 units: spans count code points"
        places = self._places.of(mention.text)
        if not places:
            return f", and its value ({len(mention.text)} characters) nowhere"
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        return ", its value at " + ", ".join(f"[{each.start}, {each.end})" for each in places[:3]) + more
