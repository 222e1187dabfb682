"""A list that begins to repeat itself must end; nothing else is held back."""

import pytest

from sluice_worker.engine.repetition import Distinct, Endings

TEXTS = ['", "', '"], "', '"', "]", ", ", "Ann", "Bo", "b", '"]}', '", "x', '"}, {"', '"}]', "}, ", "}"]


def forbidden_after(answer: str) -> set[str]:
    items = Distinct(Endings(TEXTS), lambda token: answer if token == 0 else None)
    items.take(0)
    mask = items.forbidden()
    return (
        set()
        if mask is None
        else {text for text, is_forbidden in zip(TEXTS, mask.tolist(), strict=True) if is_forbidden}
    )


GOES_ON = {'", "', '", "x'}


@pytest.mark.parametrize(
    ("answer", "forbidden"),
    [
        ("", set()),
        ('{"p": ["Ann', set()),  # the first item of a list
        ('{"p": ["Ann", "Bo', set()),  # another value so far
        ('{"p": ["Ann", "Ann', GOES_ON),  # it may still become "Anna", but not be followed by another item
        ('{"p": ["Ann", "Bo", "Ann', GOES_ON),  # not only the last one counts
        ('{"p": ["Ann", "Ann"', set(TEXTS) - {"]"}),  # closed: the list must end
        ('{"p": ["Ann"], "q": ["Ann', set()),  # the same value under another label
        ('{"p": ["Ann"], "q": ["Bo", "Ann', set()),
        ('{"p": ["a\\"b", "a\\"b', GOES_ON),  # an escaped quote ends nothing
        ('{"p": ["Ann, Bo", "Ann', set()),  # a comma inside a value
        ('{"p": [{"head": "Ann", "tail": "Ann', set()),  # one value twice in one object
        ('{"p": [{"head": "Ann", "tail": "Bo"}, {"head": "Ann", "tail": "Bo', {'"}, {"'}),
        ('{"p": [{"head": "Ann", "tail": "Bo"}, {"head": "Ann", "tail": "Bo"', {"}, "}),
        ('{"p": [{"head": "Ann", "tail": "Bo"}, {"head": "Ann", "tail": "Bo"}', set(TEXTS) - {"]"}),
        ('{"p": [{"head": "Ann", "tail": "Bo"}, {"head": "Ann", "tail": "B', set()),  # another object so far
        ('{"p": [{"head": "Ann", "tail": "Bo"}], "q": [{"head": "Ann", "tail": "Bo', set()),
        ('{"p": ["Ann", "Ann"]', set()),  # it has ended
    ],
)
def test_what_may_not_follow(answer: str, forbidden: set[str]) -> None:
    assert forbidden_after(answer) == forbidden


def test_tokens_are_joined_to_the_answer_one_by_one() -> None:
    items = Distinct(Endings(TEXTS), dict(enumerate(['["Ann', '", "', None, "Ann"])).get)
    for token in range(3):
        items.take(token)
        assert items.forbidden() is None
    items.take(3)
    assert items.forbidden() is not None
