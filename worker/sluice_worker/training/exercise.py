"""Turns an annotated row into one instruction and its answer, with labels drawn, renamed and reordered.

Variety in what is asked is what teaches a model to follow a schema instead of learning a set of labels by heart.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_schemas.schema import Part, Task, Type
from sluice_worker.protocol.answer import LABEL_KEY, answer
from sluice_worker.protocol.instruction import build, dump, schema_value
from sluice_worker.training.corpus import Row, Source

TASKS: dict[str, dict[Task, float]] = {
    "entity": {"NER": 1.0},
    "relation": {"RE": 0.84, "SPO": 0.08, "KG": 0.08},
    "event": {"EE": 0.84, "EET": 0.08, "EEA": 0.08},
}
FIELD_SHARE = {"entity": 0.74, "relation": 0.11, "event": 0.15}
ASKED = {"entity": ((1, 2, 3, 4, 5, 6, 8), (2, 2, 3, 3, 3, 6, 1)), "relation": ((1, 2, 3, 4, 5), (2, 2, 2, 6, 2))}
MAX_ROLES = 7
RENAMED = 0.12
"""Share of the labels that are asked by a synonym."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """An instruction object and the answer to it, both JSON strings."""

    task: Task
    instruction: str
    answer: str


@dataclass(frozen=True, slots=True)
class Examiner:
    """Draws exercises from the rows of one source; `synonyms` maps a label to other names for it."""

    source: Source
    synonyms: Mapping[str, Sequence[str]]
    draw: random.Random
    blind: float = 0.0
    """The share of exercises that ask for labels drawn without a look at what the row holds."""

    def exercise(self, row: Row) -> Exercise:
        """One exercise on `row`; which task and which labels is drawn."""
        fields = [*row.annotations]
        field = self.draw.choices(fields, [FIELD_SHARE[each] for each in fields])[0]
        task = self._task(field)
        labels = self._labels(field, row)
        names = self._names(labels)
        types = [self._type(task, label, names[label], row) for label in labels]
        if task == "KG":
            types = self._entity_types(labels, names)[:1] or [
                self._type("RE", label, names[label], row) for label in labels
            ]
            task = "KG" if types[0].attributes else "RE"
        if task == "SPO" and not all(each.subject_type for each in types):
            task = "RE"
        roles = self._names(list(dict.fromkeys(role.name for each in types for role in each.roles)))
        types = [_with_roles(each, roles) for each in types]
        annotation = [_renamed(item, LABEL_KEY[field], names, roles) for item in row.annotations[field]]
        asked = [*schema_value(task, types)]
        return Exercise(
            task, build(task, row.language, asked, row.text), dump(answer(task, asked, annotation, row.text))
        )

    def _task(self, field: str) -> Task:
        shares = TASKS[field]
        return self.draw.choices([*shares], [*shares.values()])[0]

    def _labels(self, field: str, row: Row) -> list[str]:
        positive = [*dict.fromkeys(item[LABEL_KEY[field]] for item in row.annotations[field])]
        negative = [label for label in self.source.labels.get(field, ()) if label not in positive]
        counts, weights = ASKED["entity" if field == "entity" else "relation"]
        wanted = self.draw.choices(counts, weights)[0]
        if not row.is_partial and self.draw.random() < self.blind:
            known = self.source.labels.get(field, ())
            return self.draw.sample(known, min(len(known), wanted))
        if row.is_partial:
            negative = self.draw.sample(negative, min(2, len(negative)))
        kept = self.draw.sample(
            positive, min(len(positive), wanted if self.draw.random() < 0.85 else max(1, wanted // 2))
        )
        kept += self.draw.sample(negative, min(len(negative), max(0, wanted - len(kept))))
        self.draw.shuffle(kept)
        return kept

    def _names(self, labels: Sequence[str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for label in labels:
            name = label
            if self.synonyms.get(label) and self.draw.random() < RENAMED:
                name = self.draw.choice(self.synonyms[label])
            names[label] = label if name in names.values() or name in labels else name
        return names

    def _type(self, task: Task, label: str, name: str, row: Row) -> Type:
        if task in ("EE", "EEA"):
            return Type(name=name, roles=tuple(Part(name=role) for role in self._roles(label, row)))
        if task == "SPO" and self.source.types.get(label):
            head, tail = self.draw.choice(self.source.types[label])
            return Type(name=name, subject_type=head, object_type=tail)
        return Type(name=name)

    def _roles(self, label: str, row: Row) -> list[str]:
        """The roles that have a value in this row, and others of the event type."""
        events = [event for event in row.annotations["event"] if event["event_type"] == label]
        stated = {each["role"] for event in events for each in event["arguments"]}
        known = [*self.source.roles.get(label, ())]
        spare = [role for role in known if role not in stated]
        kept = stated.union(self.draw.sample(spare, min(len(spare), max(0, MAX_ROLES - len(stated)))))
        roles = [role for role in known if role in kept]
        if self.draw.random() < 0.3:
            self.draw.shuffle(roles)
        return roles

    def _entity_types(self, labels: Sequence[str], names: Mapping[str, str]) -> list[Type]:
        """The KG question over these relations: each head type with the relations that it takes as attributes."""
        attributes: dict[str, list[str]] = {}
        for label in labels:
            for head, _ in self.source.types.get(label, ()):
                if names[label] not in attributes.setdefault(head, []):
                    attributes[head].append(names[label])
        types = [
            Type(name=head, attributes=tuple(Part(name=each) for each in found)) for head, found in attributes.items()
        ]
        self.draw.shuffle(types)
        return types


def _with_roles(each: Type, names: Mapping[str, str]) -> Type:
    return each.model_copy(update={"roles": tuple(Part(name=names[role.name]) for role in each.roles)})


def _renamed(item: Mapping[str, Any], key: str, names: Mapping[str, str], roles: Mapping[str, str]) -> dict[str, Any]:
    renamed = {**item, key: names.get(item[key], item[key])}
    if "arguments" in item:
        renamed["arguments"] = [{**each, "role": roles.get(each["role"], each["role"])} for each in item["arguments"]]
    return renamed
