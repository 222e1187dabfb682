"""The pictures of a run's report, as SVG elements that need no font and no other file."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

CHAMPION, CHALLENGER = "#7a8490", "#b8741a"
"""Seen on white and on black alike, and told apart without colours by their marks."""
INK = "#808080"
SETTINGS: Any = {
    # Equal figures give equal bytes.
    "svg.hashsalt": "sluice",
    # Texts stay texts, in the fonts of whoever looks at them.
    "svg.fonttype": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 9,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """F1 of one schema in percent, with the ends of its interval where there is one."""

    name: str
    champion: float
    challenger: float
    champion_interval: tuple[float, float] | None
    challenger_interval: tuple[float, float] | None


def by_schema(bars: Sequence[Bar]) -> str:
    """F1 of champion and challenger, schema by schema, with 95 % intervals."""

    def draw(axes: Axes) -> None:
        for shift, colour, mark, role in ((-0.14, CHAMPION, "s", "champion"), (0.14, CHALLENGER, "o", "challenger")):
            for i, bar in enumerate(bars):
                value, interval = getattr(bar, role), getattr(bar, f"{role}_interval") or (getattr(bar, role),) * 2
                reach = [[max(0.0, value - interval[0])], [max(0.0, interval[1] - value)]]
                label = role if i == 0 else None
                axes.errorbar(value, i + shift, xerr=reach, fmt=mark, color=colour, capsize=3, label=label)
        axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_xlim(-2, 102)
        axes.set_xlabel("F1, %")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.5 / max(1, len(bars))), ncols=2)

    return _drawn(draw, height=1.4 + 0.5 * len(bars))


def over_runs(names: Sequence[str], champions: Sequence[float], challengers: Sequence[float]) -> str:
    """F1 of each run's champion and challenger over its own test labels, the oldest run first."""

    def draw(axes: Axes) -> None:
        places = range(len(names))
        axes.plot(places, champions, "s-", color=CHAMPION, label="champion")
        axes.plot(places, challengers, "o--", color=CHALLENGER, label="challenger")
        axes.set_xticks(places, [f"{i + 1}" for i in places])
        axes.set_xlabel("run")
        axes.set_ylabel("F1, %")
        axes.set_ylim(-2, 102)
        axes.legend(frameon=False)

    return _drawn(draw, height=2.8)


def losses(train: Sequence[tuple[int, float]], dev: Sequence[tuple[int, float]]) -> str:
    """The mean loss of an answer's token over steps."""

    def draw(axes: Axes) -> None:
        axes.plot(*zip(*train, strict=True), color=CHAMPION, label="training records")
        if dev:
            axes.plot(*zip(*dev, strict=True), "o--", color=CHALLENGER, label="dev records")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)

    return _drawn(draw, height=2.8)


def _drawn(draw: Callable[[Axes], None], *, height: float) -> str:
    with rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # no font of ours is used: whoever looks at it has Chinese ones
        figure = Figure(figsize=(7.2, height), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        draw(axes)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = target.getvalue()
    return drawn[drawn.index("<svg") :]
