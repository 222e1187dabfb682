"""Losses over steps as a picture."""

import io
import warnings
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Points = Sequence[tuple[int, float]]


def svg(series: Mapping[str, Points], *, title: str, unit: str = "loss") -> str:
    """An SVG element of lines over steps, one for each name; equal series give equal pictures.

    Texts stay texts, in the fonts of whoever looks at it. Series of a few points show them.
    """
    with rc_context({"svg.hashsalt": "sluice", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # no font of ours is used: whoever looks at it has Chinese ones
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for name, points in series.items():
            steps, values = [step for step, _ in points], [value for _, value in points]
            axes.plot(steps, values, label=name, marker="o" if len(points) < 30 else None, markersize=3)
        axes.set(title=title, xlabel="step", ylabel=unit)
        axes.grid(alpha=0.3)
        if series:
            axes.legend()
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    drawn = target.getvalue()
    return drawn[drawn.index("<svg") :]
