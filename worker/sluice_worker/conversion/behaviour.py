"""The two ways to convert: without losing anything, and as OneKE's own converter does it.

Every difference between them stands here. B numbers are those of the protocol, section 14.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Task, Type
from sluice_worker.conversion.annotated import IDENTITY, Facts
from sluice_worker.conversion.grouping import Groups, grouped
from sluice_worker.conversion.labels import SchemaLines, named, types_of, with_parts
from sluice_worker.conversion.negatives import Draws, Rivals
from sluice_worker.protocol.split import split

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the two ways do differently.

    `identity`: which items of a document are equal. `takes_all_below_zero`: the tasks that understand a negative share.
    `training_types`: the label set to train on. `groups`: the annotation by label. `rivals`: the hard negatives to use.
    `parts`: the roles or attributes that a label is asked for, from its own and the annotated ones.
    `triggers`, `test_triggers`: the trigger words that EEA names, of all in text order; None names none.
    `chunks`: the items of a document as questions, by the number of labels at once and the share of negatives.
    """

    identity: Mapping[Task, tuple[str, ...]]
    takes_all_below_zero: frozenset[Task]
    training_types: Callable[[Task, SchemaLines], tuple[Type, ...]]
    groups: Callable[[Task, Facts, Mapping[str, Type]], Groups]
    rivals: Callable[[Rivals, Sequence[str]], Rivals]
    parts: Callable[[Task, Draws, Sequence[str], Sequence[str]], list[str]]
    triggers: Callable[[Draws, Sequence[str], int], Sequence[str]]
    test_triggers: Callable[[Facts, str], Sequence[str] | None]
    chunks: Callable[[Task, Sequence[T], int, float], list[Sequence[T]]]


def triggers_of(events: Facts, text: str) -> list[str]:
    """The trigger words of events of one type, in text order."""
    return sorted((event["event_trigger"] for event in events if "event_trigger" in event), key=text.find)


def _kept_parts(task: Task, draws: Draws, own: Sequence[str], annotated: Sequence[str]) -> list[str]:
    """All that is annotated and a draw of the rest, in schema order; at a share of 0 KG asks no more than that."""
    others = [name for name in own if name not in annotated]
    if draws.share == 0:
        drawn = [] if task == "KG" else others
    else:
        drawn = draws.some(others, of=len(own), at_least=0 if annotated else 1)
    chosen = {*annotated, *drawn}
    return [name for name in dict.fromkeys([*own, *annotated]) if name in chosen]


def _given_triggers(events: Facts, text: str) -> list[str] | None:
    """B10: the instruction promises triggers, so those that are annotated are named."""
    return triggers_of(events, text) or None


def _rivals_within(rivals: Rivals, known: Sequence[str]) -> Rivals:
    """A label outside the schema was never annotated; to ask for it would teach that it is absent."""
    return {label: [name for name in names if name in known] for label, names in rivals.items()}


def _chunks(task: Task, items: Sequence[T], k: int, share: float) -> list[Sequence[T]]:
    """B9: a document with nothing to ask is skipped where only its own labels are asked."""
    return split(items, k) if items or share != 0 else []


LOSSLESS = Behaviour(
    identity=IDENTITY,
    takes_all_below_zero=frozenset(),
    training_types=types_of,
    groups=grouped,
    rivals=_rivals_within,
    parts=_kept_parts,
    triggers=lambda draws, triggers, roles: triggers,
    test_triggers=_given_triggers,
    chunks=_chunks,
)


def _first_type_with_all_attributes(task: Task, lines: SchemaLines) -> tuple[Type, ...]:
    """B8: KG trains on the first entity type alone, with the attributes of all."""
    if task != "KG":
        return types_of(task, lines)
    return tuple(with_parts(task, named(task, name), lines.second) for name in [*lines.parts][:1])


def _under_the_first_type(task: Task, facts: Facts, known: Mapping[str, Type]) -> Groups:
    """B8: every head stands under the one type that is asked."""
    if task != "KG":
        return grouped(task, facts, known)
    return {name: [{**fact, "head_type": name} for fact in facts] for name in [*known][:1]}


def _original_parts(task: Task, draws: Draws, own: Sequence[str], annotated: Sequence[str]) -> list[str]:
    """EEA and KG draw from the schema's own, whatever is annotated; at a share of 0 KG takes what is annotated."""
    if draws.share == 0:
        return [*dict.fromkeys(annotated)] if task == "KG" else [*own]
    if task == "EE":
        return _kept_parts(task, draws, own, annotated)
    drawn = draws.some(own, of=len(own), at_least=1)
    return sorted(drawn) if task == "KG" else drawn


def _original_triggers(draws: Draws, triggers: Sequence[str], roles: int) -> Sequence[str]:
    """B12: no more triggers than roles."""
    return draws.sample(triggers, min(max(draws.count(len(triggers), draws.share), 1), roles))


def _original_chunks(task: Task, items: Sequence[T], k: int, share: float) -> list[Sequence[T]]:
    """B7: KG unsplit comes with an empty question; B9: EE asks an empty one when nothing is annotated."""
    if task == "KG" and k == -1:
        return [[], items]
    return split(items, k) if items or share != 0 or task == "EE" else []


ORIGINAL = Behaviour(
    identity={**IDENTITY, "SPO": IDENTITY["RE"]},  # B6
    takes_all_below_zero=frozenset({"NER", "RE", "SPO", "EET", "EE"}),
    training_types=_first_type_with_all_attributes,
    groups=_under_the_first_type,
    rivals=lambda rivals, known: rivals,
    parts=_original_parts,
    triggers=_original_triggers,
    test_triggers=lambda events, text: None,
    chunks=_original_chunks,
)


def check_share(behaviour: Behaviour, task: Task, share: float, *, has_rivals: bool) -> None:
    """Raises `BadInput` for a share of negatives that says nothing."""
    if 0 <= share <= 1 or (share < 0 and task in behaviour.takes_all_below_zero and not has_rivals):
        return
    raise BadInput(f"neg_schema is {share}; it is a share of the labels, from 0 to 1.")
