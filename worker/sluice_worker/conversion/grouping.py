"""What a document's annotation says of each label."""

from collections.abc import Mapping

from sluice_schemas.schema import Task, Type
from sluice_worker.conversion.annotated import Facts
from sluice_worker.conversion.labels import named, parts_of
from sluice_worker.protocol.answer import ANNOTATION_FIELD, LABEL_KEY

Groups = dict[str, Facts]
"""The items of an annotation by label, in annotation order; a label with nothing is left out."""


def grouped(task: Task, facts: Facts, known: Mapping[str, Type]) -> Groups:
    """The facts by label; for KG by the entity types of their heads, each fact with its `head_type`."""
    if task == "KG":
        return _by_head_type(facts, known)
    groups: Groups = {}
    if task == "SPO":
        for fact in facts:
            groups.setdefault(f"{fact['head_type']}_{fact['relation']}_{fact['tail_type']}", []).append(fact)
        return groups
    field = LABEL_KEY[ANNOTATION_FIELD[task]]
    for fact in facts:
        groups.setdefault(fact[field], []).append(fact)
    return groups


def type_in(task: Task, label: str, facts: Facts) -> Type:
    """The label as an annotation has it, which for SPO knows where each of the three names ends."""
    if task != "SPO":
        return named(task, label)
    fact = facts[0]
    return Type.model_construct(name=fact["relation"], subject_type=fact["head_type"], object_type=fact["tail_type"])


def _by_head_type(facts: Facts, known: Mapping[str, Type]) -> Groups:
    heads: dict[tuple[str, object], Facts] = {}
    for fact in facts:
        heads.setdefault((fact["head"], fact.get("head_type")), []).append(fact)
    groups: Groups = {}
    for (_, head_type), said in heads.items():
        for name in [head_type] if isinstance(head_type, str) else _owners(said, known):
            groups.setdefault(name, []).extend({**fact, "head_type": name} for fact in said)
    return groups


def _owners(facts: Facts, known: Mapping[str, Type]) -> list[str]:
    """The entity types that a head without one may have: those with most of its attributes, which may be all."""
    counts = {
        name: sum(fact["relation"] in own for fact in facts)
        for name, own in ((name, set(parts_of("KG", each))) for name, each in known.items())
    }
    most = max(counts.values(), default=0)
    return [name for name, count in counts.items() if count == most]
