"""Whether a challenger may take the champion's place. Pure: trials in, a decision with all its reasons out."""

from dataclasses import dataclass

from pydantic import Field

from sluice_schemas.wire import Strict
from sluice_worker.evaluation.trial import Trial


class GateRules(Strict):
    """`tolerance` and `tolerances` (by schema ref) are points of F1 that a schema may lose; `latency` is the most that
    the median document may take, times the champion's; `ungrounded` the most that the share of values found nowhere
    in the text may rise, in points; `documents` the fewest that tell anything.
    """

    tolerance: float = Field(default=1.0, ge=0)
    tolerances: dict[str, float] = Field(default={})
    latency: float = Field(default=1.25, gt=0)
    ungrounded: float = Field(default=2.0, ge=0)
    documents: int = Field(default=20, ge=2)


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
    """`golden` holds champion and challenger on the frozen set, which may not get worse."""
    raise NotImplementedError
