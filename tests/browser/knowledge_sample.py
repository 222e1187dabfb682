"""A small knowledge base in memory: what the page's tests look at, in the shapes of the real one's answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Answer = dict[str, Any]
Roles = Sequence[tuple[str, str]]
"""Role and what stands in the sentence for it; a role may come more than once."""

CUT_AT = 300
"""Lists of an entity longer than this are cut."""


def identity(label: str) -> str:
    """32 hexadecimal digits, as entities have them."""
    return hashlib.md5(label.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Reading:
    """One extraction of one document. `before` is how many code points of the document precede the passage."""

    document: str
    passage: str
    version: int = 1
    tenant: str = "default"
    before: int = 0
    schema: str = "news/relations-en@1"
    model: str = "models/oneke-13b-awq"
    adapter: str | None = None
    ended_at: str | None = "2026-11-26T09:41:07Z"
    confidence: float | None = 0.93

    def evidence(self, values: Roles) -> Answer:
        return {
            "document": {"id": self.document, "tenant": self.tenant, "version": self.version},
            "job": identity(self.document + str(self.version)),
            "schema": self.schema,
            "model": self.model,
            "adapter": self.adapter,
            "ended_at": self.ended_at,
            "confidence": self.confidence,
            "mentions": [self.mention(role, text) for role, text in values],
        }

    def mention(self, role: str, text: str) -> Answer:
        """Where `text` stands. `surface|value` gives a value that is written otherwise in the passage."""
        surface, _, value = text.partition("|")
        status = "exact" if not value else "normalised" if surface.casefold() == value.casefold() else "fuzzy"
        at = self.passage.find(surface)
        named = {"role": role, "text": value or surface, "confidence": self.confidence}
        if at < 0:
            return {**named, "start": None, "end": None, "status": "absent", "passage": None}
        start, length = self.before + at, len(surface)
        end = self.before + len(self.passage)
        passage = {"start": self.before, "end": end, "text": self.passage}
        return {**named, "start": start, "end": start + length, "status": status, "passage": passage}


@dataclass
class Sample:
    """Entities by id, and what was said of them."""

    entities: dict[str, Answer] = field(default_factory=dict)
    spellings: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[tuple[str, str, str], list[Answer]] = field(default_factory=dict)
    events: list[Answer] = field(default_factory=list)
    mentions: dict[str, list[Answer]] = field(default_factory=dict)
    recent: list[Answer] = field(default_factory=list)

    def entity(self, label: str, *types: str, also: Sequence[str] = ()) -> None:
        self.entities[identity(label)] = {"id": identity(label), "label": label, "types": list(types)}
        self.spellings[identity(label)] = [label, *also]

    def fact(self, source: str, relation: str, target: str, reading: Reading, roles: Roles | None = None) -> None:
        """`roles` says what stands in the passage, where that is not the labels."""
        values = roles or (("subject", source), ("object", target))
        key = (identity(source), relation, identity(target))
        self.facts.setdefault(key, []).append(reading.evidence(values))
        for label, value in ((source, values[0]), (target, values[-1])):
            self.mention(label, reading, value[1])

    def event(self, type_: str, reading: Reading, trigger: str | None, played: Roles) -> None:
        values = [*([("trigger", trigger)] if trigger else []), *played]
        arguments = [{"role": role, "entity": self.entities[identity(label)]} for role, label in played]
        event = {"id": identity(type_ + reading.document), "type": type_, "trigger": trigger, "arguments": arguments}
        self.events.append({**event, "evidence": [reading.evidence(values)]})

    def mention(self, label: str, reading: Reading, value: str | None = None) -> None:
        type_ = next(iter(self.entities[identity(label)]["types"]), "entity")
        evidence, told = reading.evidence([(type_, value or label)]), self.mentions.setdefault(identity(label), [])
        if evidence not in told:
            told.append(evidence)

    def health(self) -> Answer:
        documents = {each["document"]["id"] for found in self.mentions.values() for each in found}
        counts = {"documents": len(documents), "entities": len(self.entities)}
        return {"status": "ok", **counts, "facts": len(self.facts), "events": len(self.events)}

    def search(self, words: str, limit: int) -> Answer:
        results = [
            {**entity, "evidences": len(self.mentions.get(id_, []))}
            for id_, entity in self.entities.items()
            if any(words.casefold() in spelling.casefold() for spelling in self.spellings[id_])
        ]
        return {"results": sorted(results, key=lambda each: -int(each["evidences"]))[:limit]}

    def view(self, id_: str) -> Answer:
        facts = [self._fact(key, evidence, id_) for key, evidence in self.facts.items() if id_ in (key[0], key[2])]
        taking_part = [
            each for each in self.events if id_ in [argument["entity"]["id"] for argument in each["arguments"]]
        ]
        lists = {"facts": facts, "events": taking_part, "mentions": self.mentions.get(id_, [])}
        cut = any(len(each) > CUT_AT for each in lists.values())
        shown = {name: each[:CUT_AT] for name, each in lists.items()}
        return {**self.entities[id_], "labels": self.spellings[id_], **shown, "cut": cut}

    def _fact(self, key: tuple[str, str, str], evidence: list[Answer], id_: str) -> Answer:
        source, relation, target = key
        outward = source == id_
        other = self.entities[target if outward else source]
        direction = "out" if outward else "in"
        named = {"id": identity("".join(key)), "relation": relation, "direction": direction}
        return {**named, "other": other, "evidence": evidence}

    def graph(self, id_: str, depth: int, limit: int) -> Answer:
        reached = [id_]
        for _ in range(depth):
            near = [end for key in self.facts for end in (key[0], key[2]) if key[0] in reached or key[2] in reached]
            reached = list(dict.fromkeys([*reached, *near]))
        shown = reached[:limit]
        nodes = [{**self.entities[each], "center": each == id_} for each in shown]
        edges = [
            {"id": identity("".join(key)), "source": key[0], "target": key[2], "relation": key[1], "evidences": len(of)}
            for key, of in self.facts.items()
            if key[0] in shown and key[2] in shown
        ]
        return {"nodes": nodes, "edges": edges, "cut": len(reached) > limit}


def delivery(number: int, at: str, document: str, **fields: object) -> Answer:
    """One of the last events. `number` makes its id."""
    told = {"type": "extraction.completed", "state": "new", "schema": "news/relations-en@1", "tenant": "default"}
    counts = {"entities": 0, "relations": 0, "events": 0}
    return {"id": f"msg_{number}", "at": at, "document": document, **told, **counts, **fields}
