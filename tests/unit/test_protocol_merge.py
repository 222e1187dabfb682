"""The union of what the label splits of one chunk gave."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.merge import merge
from sluice_worker.protocol.records import EntityRecord, EventRecord, NodeRecord, Record, RelationRecord, label_of
from sluice_worker.protocol.split import split

LABELS = [f"t{number}" for number in range(9)]
VALUES = st.sampled_from(["a", "b", "c"])
NODES = st.builds(
    NodeRecord, VALUES, st.sampled_from(LABELS), st.lists(st.tuples(VALUES, VALUES), max_size=3).map(tuple)
)
RECORDS = (
    st.builds(EntityRecord, VALUES, st.sampled_from(LABELS))
    | st.builds(RelationRecord, VALUES, st.sampled_from(LABELS), VALUES)
    | st.builds(
        EventRecord, st.sampled_from(LABELS), VALUES, st.lists(st.tuples(VALUES, VALUES), max_size=2).map(tuple)
    )
)


@given(st.lists(RECORDS), st.sampled_from([-1, 1, 2, 4, 6]))
def test_splitting_changes_nothing_for_a_perfect_model(truth: list[Record], k: int) -> None:
    def answer(labels: list[str]) -> list[Record]:
        return [record for label in labels for record in truth if label_of(record) == label]

    parts = [answer(list(labels)) for labels in split(LABELS, k)]
    assert merge(parts, LABELS) == tuple(answer(LABELS))


@given(st.lists(NODES, unique_by=lambda node: (node.type, node.text)), st.sampled_from([-1, 1, 4]))
def test_splitting_changes_nothing_for_entities_with_attributes(truth: list[NodeRecord], k: int) -> None:
    parts = [[node for label in labels for node in truth if node.type == label] for labels in split(LABELS, k)]
    assert merge(parts, LABELS) == tuple(node for label in LABELS for node in truth if node.type == label)


def test_labels_keep_schema_order_and_unknown_ones_come_last() -> None:
    a, b, c = EntityRecord("x", "A"), EntityRecord("y", "B"), EntityRecord("z", "C")
    assert merge([[c, b], [a]], ["A", "B"]) == (a, b, c)


def test_what_two_parts_say_counts_once_and_what_one_says_twice_stays_twice() -> None:
    a, b = EntityRecord("x", "A"), EntityRecord("y", "A")
    assert merge([[a, a], [b, a]], ["A"]) == (a, a, b)
    assert merge([[a], [a, a]], ["A"]) == (a, a)


def test_the_same_value_under_two_labels_or_with_other_arguments_is_another_record() -> None:
    records: list[Record] = [
        EntityRecord("x", "A"),
        EntityRecord("x", "B"),
        EventRecord("A", "t"),
        EventRecord("A", "t", (("a", "r"),)),
    ]
    assert set(merge([records, records], ["A", "B"])) == set(records)


def test_values_that_cannot_be_hashed_are_compared_too() -> None:
    event = EventRecord("A", "t", (({"k": 1}, "r"),))
    assert merge([[event], [event]], ["A"]) == (event,)


def test_entities_are_joined_attribute_by_attribute() -> None:
    first = NodeRecord("h", "p", (("v", "k"), ("v", "k")))
    second = NodeRecord("h", "p", (("v", "k"), ("w", "k"), ("u", "l")))
    other = NodeRecord("h", "q")
    joined = NodeRecord("h", "p", (("v", "k"), ("v", "k"), ("w", "k"), ("u", "l")))
    assert merge([[first], [other, second]], ["p", "q"]) == (joined, other)
