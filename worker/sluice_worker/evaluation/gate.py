"""Whether a challenger may take the champion's place. Pure: trials in, a decision with all its reasons out."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from sluice_schemas.wire import Strict
from sluice_worker.evaluation import resample
from sluice_worker.evaluation.counting import Row
from sluice_worker.evaluation.trial import SchemaTrial, Trial, by_document
from sluice_worker.settings import Settings


class GateRules(Strict):
    """`tolerance` and `tolerances` (by schema ref) are points of F1 that a schema may lose; `latency` is the most that
    the median document may take, times the champion's; `ungrounded` the most that the share of values found nowhere
    in the text may rise, in points; `documents` the fewest that tell anything.
    """

    tolerance: float = Field(default=1.0, ge=0)
    tolerances: dict[str, float] = Field(default={})
    latency: float = Field(default=2.0, gt=0)
    ungrounded: float = Field(default=2.0, ge=0)
    documents: int = Field(default=20, ge=2)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules that ops set."""
        return cls(
            tolerance=settings.gate_tolerance,
            tolerances=settings.gate_tolerances,
            latency=settings.gate_latency,
            ungrounded=settings.gate_ungrounded,
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was asked, with what was seen, what was allowed, and a sentence for people."""

    name: str
    schema: str | None
    is_passed: bool
    observed: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`is_better` when every check passed. All checks are listed, passed or not."""

    is_better: bool
    checks: tuple[Check, ...]

    @property
    def reason(self) -> str:
        """Why not, in the sentences of the checks that failed; or why."""
        failed = [each.sentence for each in self.checks if not each.is_passed]
        return " ".join(failed) if failed else next(c.sentence for c in self.checks if c.name == "better overall")


def decide(
    champion: Trial, challenger: Trial, *, golden: tuple[Trial, Trial] | None = None, rules: GateRules
) -> Decision:
    """`golden` holds champion and challenger on the frozen set, which may not get worse.

    Raises `ValueError` for trials of other documents: they cannot be compared.
    """
    _demand_alike(champion, challenger)
    checks = [_enough(champion, rules), _better(champion, challenger)]
    for ref in sorted(champion.schemas):
        tolerance = rules.tolerances.get(ref, rules.tolerance)
        checks.append(_no_worse("no schema worse", champion.schemas[ref], challenger.schemas[ref], tolerance))
    checks += [
        _unparsed(champion, challenger),
        _ungrounded(champion, challenger, rules),
        _failed(champion, challenger),
        _latency(champion, challenger, rules),
    ]
    if golden is not None:
        _demand_alike(*golden)
        for ref in sorted(golden[0].schemas):
            mine, theirs = (each.schemas[ref] for each in golden)
            checks.append(_no_worse("golden set no worse", mine, theirs, rules.tolerances.get(ref, rules.tolerance)))
    return Decision(all(each.is_passed for each in checks), tuple(checks))


def _demand_alike(champion: Trial, challenger: Trial) -> None:
    if champion.schemas.keys() != challenger.schemas.keys():
        raise ValueError("the trials are of other schemas")
    for ref, mine in champion.schemas.items():
        theirs = challenger.schemas[ref]
        gold = [{level: [row[2] for row in rows] for level, rows in each.rows.items()} for each in (mine, theirs)]
        if gold[0] != gold[1]:
            raise ValueError(f"the trials of {ref} are of other documents")


def _enough(champion: Trial, rules: GateRules) -> Check:
    documents = sum(each.documents for each in champion.schemas.values())
    said = f"{documents} documents to judge by; at least {rules.documents} tell anything."
    return Check("enough documents", None, documents >= rules.documents, documents, rules.documents, said)


def _better(champion: Trial, challenger: Trial) -> Check:
    """Paired bootstrap over documents (Koehn 2004): both read the same draw of them. Facts of all schemas are pooled,
    so that a schema counts by what stands in its documents.
    """
    found = resample.difference(_pooled(champion), _pooled(challenger))
    low = found.interval[0] if found.interval else None
    spread = f", 95 % interval {found.interval[0]:+.2f} to {found.interval[1]:+.2f}" if found.interval else ""
    is_better = low is not None and low > 0
    said = f"F1 over all goes from {found.here:.2f} to {found.there:.2f} ({found.gain:+.2f} points{spread})"
    said += "." if is_better else "; the interval must lie above 0."
    return Check("better overall", None, is_better, low, 0.0, said)


def _no_worse(name: str, mine: SchemaTrial, theirs: SchemaTrial, tolerance: float) -> Check:
    """By the difference itself, not by its interval: with few documents an interval allows anything."""
    if not any(gold for _, _, gold in by_document(mine)):
        return _no_more_said(name, mine, theirs)
    found = resample.difference(by_document(mine), by_document(theirs))
    is_passed = found.gain >= -tolerance
    said = f"{mine.ref}: F1 {found.here:.2f} to {found.there:.2f} on {mine.documents} documents"
    if not is_passed:
        sure = found.interval is not None and found.interval[1] < -tolerance
        said += f", a loss of more than {tolerance:g}{'' if sure else ', which may be luck'}"
    return Check(name, mine.ref, is_passed, found.gain, -tolerance, said + ".")


def _no_more_said(name: str, mine: SchemaTrial, theirs: SchemaTrial) -> Check:
    """Where nothing is to be found F1 is 0 whatever is said, so what is said is counted."""
    here, there = (sum(said for _, said, _ in by_document(each)) for each in (mine, theirs))
    said = f"{mine.ref}: nothing stands in its {mine.documents} documents; {there} facts were found, {here} before."
    return Check(name, mine.ref, there <= here, there, here, said)


def _unparsed(champion: Trial, challenger: Trial) -> Check:
    """One answer, or half a percent of them, may be luck of the batch; more is a model that unlearned the form."""
    here, there = (_sum(each, "unparsed") for each in (champion, challenger))
    requests = max(1, _sum(challenger, "requests"))
    limit = here + max(1, requests // 200)
    said = f"{there} of {requests} answers could not be read, {here} of the champion's; {limit} are allowed."
    return Check("no more unparsed answers", None, there <= limit, there, limit, said)


def _ungrounded(champion: Trial, challenger: Trial, rules: GateRules) -> Check:
    here, there = (100 * _sum(each, "ungrounded") / max(1, _sum(each, "values")) for each in (champion, challenger))
    limit = here + rules.ungrounded
    said = f"{there:.1f} % of the values stand nowhere in the text, {here:.1f} % of the champion's; {limit:.1f} % may."
    return Check("no more ungrounded values", None, there <= limit, round(there, 2), round(limit, 2), said)


def _failed(champion: Trial, challenger: Trial) -> Check:
    here, there = (sum(sum(s.failed.values()) for s in each.schemas.values()) for each in (champion, challenger))
    said = f"{there} documents could not be read at all, {here} of them by the champion."
    return Check("no more failed documents", None, there <= here, there, here, said)


def _latency(champion: Trial, challenger: Trial, rules: GateRules) -> Check:
    """Of documents that both could read."""
    pairs = [*_seconds(champion, challenger)]
    if not pairs:
        said = "There is no document that both could read: how long one takes is not known."
        return Check("no slower", None, False, None, rules.latency, said)
    here, there = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = there / here if here else 1.0
    said = f"The median document takes {there:.2f} s, {ratio:.2f} times the champion's; {rules.latency:g} may be."
    return Check("no slower", None, ratio <= rules.latency, round(ratio, 3), rules.latency, said)


def _seconds(champion: Trial, challenger: Trial) -> Iterator[tuple[float, float]]:
    for ref, each in champion.schemas.items():
        for mine, theirs in zip(each.seconds, challenger.schemas[ref].seconds, strict=True):
            if mine is not None and theirs is not None:
                yield mine, theirs


def _sum(found: Trial, name: str) -> int:
    return sum(getattr(each, name) for each in found.schemas.values())


def _pooled(found: Trial) -> list[Row]:
    return [row for ref in sorted(found.schemas) for row in by_document(found.schemas[ref])]
