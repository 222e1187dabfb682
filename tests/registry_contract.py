"""What every registry of adapters does: held for the twin and for real Redis."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from sluice_schemas.adapter import BASE, AdapterRecord, Aliases
from sluice_schemas.errors import BadInput, Conflict, NotFound
from sluice_worker.adapters.registry import AdapterRegistry, serving

A, B, C = ("a" * 20, "b" * 20, "c" * 20)


def record(digest: str, *, made_at: float = 1.0, model: str = "m") -> AdapterRecord:
    return AdapterRecord(
        digest=digest, model=model, uri=f"file:///x/{digest}", made_at=made_at, rank=8, size_bytes=10, note="überprüft"
    )


class RegistryContract:
    """Subclasses give a fixture `registry`, empty."""

    @pytest.fixture
    def known(self, registry: AdapterRegistry) -> AdapterRegistry:
        for at, digest in enumerate((A, B, C)):
            registry.register(record(digest, made_at=float(at)))
        return registry

    def test_records_come_back_the_newest_first(self, known: AdapterRegistry) -> None:
        known.register(record(A))
        assert [each.digest for each in known.records()] == [C, B, A]
        assert known.record(B) == record(B, made_at=1.0)
        with pytest.raises(Conflict, match="another model"):
            known.register(record(A, model="other"))
        with pytest.raises(NotFound, match="adapters list"):
            known.record("d" * 20)

    def test_a_promotion_moves_one_alias(self, known: AdapterRegistry) -> None:
        assert known.aliases() == {}
        first = known.promote("*", A, by="run:1")
        assert first == Aliases(champion=A, previous=BASE, version=1)
        assert known.promote("*", A, by="again") == first
        assert known.promote("*", B, by="run:2", expected=A) == Aliases(champion=B, previous=A, version=2)
        with pytest.raises(Conflict, match=f"served by {B}"):
            known.promote("*", C, by="late", expected=A)
        with pytest.raises(NotFound):
            known.promote("*", "d" * 20, by="wrong")
        assert known.aliases() == {"*": Aliases(champion=B, previous=A, version=2)}

    def test_scopes_are_apart(self, known: AdapterRegistry) -> None:
        known.promote("*", A, by="x")
        known.promote("own/people@1", B, by="x")
        aliases = known.aliases()
        assert serving(aliases, "own/people@1").champion == B
        assert serving(aliases, "own/other@1").champion == A
        assert serving({}, "own/other@1").champion == BASE

    def test_a_scope_begins_with_what_serves_it(self, known: AdapterRegistry) -> None:
        known.promote("*", A, by="x")
        for scope, touched in (
            ("own/pinned@1", known.pin("own/pinned@1", by="x")),
            ("own/tried@1", known.set_candidate("own/tried@1", B, shadow_share=0.5, by="x")),
        ):
            assert touched.champion == A, "neither a pin nor a candidate changes what serves"
            assert known.promote(scope, C, by="x", expected=A, force=True).previous == A
            assert known.rollback(scope, by="x").champion == A
        known.pin("*", by="ops")
        with pytest.raises(Conflict, match=r"'\*' is pinned"):
            known.promote("own/new@1", B, by="run:1")
        for wrong in ("", "own/people", "own people@1"):
            with pytest.raises(BadInput, match="id@version"):
                known.promote(wrong, B, by="x")

    def test_two_rollbacks_lead_back(self, known: AdapterRegistry) -> None:
        with pytest.raises(NotFound, match="before"):
            known.rollback("*", by="x")
        known.promote("*", A, by="x")
        known.promote("*", B, by="x")
        assert known.rollback("*", by="x").champion == A
        assert known.rollback("*", by="x").champion == B

    def test_a_pinned_scope_is_moved_by_force_alone(self, known: AdapterRegistry) -> None:
        known.promote("*", A, by="x")
        assert known.pin("*", by="ops").is_pinned
        with pytest.raises(Conflict, match="pinned"):
            known.promote("*", B, by="run:1")
        assert known.promote("*", B, by="ops", force=True).champion == B
        assert not known.unpin("*", by="ops").is_pinned
        assert known.promote("*", C, by="run:2").champion == C

    def test_a_candidate_ends_when_it_is_promoted(self, known: AdapterRegistry) -> None:
        shown = known.set_candidate("*", B, shadow_share=0.25, by="x")
        assert (shown.champion, shown.candidate, shown.shadow_share) == (BASE, B, 0.25)
        promoted = known.promote("*", B, by="x")
        assert (promoted.champion, promoted.candidate, promoted.shadow_share) == (B, None, 0.0)
        known.set_candidate("*", C, shadow_share=1.0, by="x")
        assert known.set_candidate("*", None, shadow_share=0.5, by="x").shadow_share == 0.0
        with pytest.raises(BadInput, match="from 0 to 1"):
            known.set_candidate("*", C, shadow_share=1.5, by="x")

    def test_what_has_a_name_is_not_removed(self, known: AdapterRegistry) -> None:
        known.promote("*", A, by="x")
        known.promote("*", B, by="x")
        for digest in (A, B):
            with pytest.raises(Conflict, match="has a name"):
                known.remove(digest)
        known.remove(C)
        with pytest.raises(NotFound):
            known.remove(C)

    def test_the_history_tells_who_moved_what(self, known: AdapterRegistry) -> None:
        known.promote("*", A, by="run:1")
        known.pin("*", by="ops")
        latest, *_, oldest = known.history()
        assert (latest.by, latest.alias, latest.was, latest.now) == ("ops", "is_pinned", "False", "True")
        assert {(each.alias, each.was, each.now) for each in known.history() if each.by == "run:1"} == {
            ("champion", BASE, A),
            ("previous", None, BASE),
        }
        assert oldest.scope == "*"
        assert known.history(1) == [latest]
        assert known.history(0) == []
        for by in range(600):
            known.promote("*", (B, A)[by % 2], by=str(by), force=True)
        assert len(known.history(5000)) == 1000, "the oldest are forgotten"
        assert known.history(1)[0].by == "599"

    def test_of_many_at_once_each_move_counts(self, known: AdapterRegistry) -> None:
        def move(i: int) -> Aliases:
            return known.promote("*", (A, B)[i % 2], by=f"t{i}")

        with ThreadPoolExecutor(8) as pool:
            done = [*pool.map(move, range(40))]
        champions = [each for each in known.history(1000) if each.alias == "champion"]
        assert len(champions) == known.aliases()["*"].version == max(each.version for each in done)
        for newer, older in pairwise(champions):
            assert newer.was == older.now
