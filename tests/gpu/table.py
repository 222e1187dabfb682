"""The run as a table that fits 80 columns."""

import textwrap
from collections.abc import Iterator
from typing import Any

WIDTH = 80
NAME = 14
ROW = "{:<14}{:>8}{:>8}{:>10}{:>10}{:>8}{:>11}{:>11}"
HEADS = (
    ("", "docs/s", "times", "prompt", "answer", "memory", "prefill", "decode"),
    ("", "", "quick", "tokens/s", "tokens/s", "GB", "of ceiling", "of ceiling"),
)


def lines(report: dict[str, Any]) -> Iterator[str]:
    """One for the model, one for the ceilings, then a line a part, or why it has none."""
    conditions = report["conditions"]
    yield (
        f"{report['parameters'] / 1e6:,.0f} M parameters, random bfloat16 weights; "
        f"{conditions['documents']} documents, {conditions['max_tokens']} answer tokens"
    )
    yield from _ceilings(report["parts"]["ceilings"])
    yield from (ROW.format(*head).rstrip() for head in HEADS)
    for name, part in report["parts"].items():
        if "failure" in part and name != "ceilings":
            yield from _failure(name, part)
        elif "documents_per_s" in part:
            yield from _figures(name, part)


def _ceilings(part: dict[str, Any]) -> Iterator[str]:
    if "failure" in part:
        yield from _failure("ceilings", part)
        return
    yield (
        f"{part['device']}: {part['matrix_rate'] / 1e12:.3g} TFLOP/s in bfloat16 matrix products, "
        f"{part['bandwidth'] / 1e9:.0f} GB/s"
    )


def _figures(name: str, part: dict[str, Any]) -> Iterator[str]:
    cells = (
        name,
        f"{part['documents_per_s']:.3g}",
        _number(part["times_quick_start"], ".1f"),
        f"{part['prompt_tokens_per_s']:.0f}",
        f"{part['completion_tokens_per_s']:.0f}",
        f"{part['memory_bytes'] / 1e9:.1f}",
        _number(part["prefill_share"], ".0%"),
        _number(part["decode_share"], ".0%"),
    )
    yield ROW.format(*cells)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _failure(name: str, part: dict[str, Any]) -> Iterator[str]:
    reason = " ".join(part["failure"].split())
    short = textwrap.shorten(reason, 3 * (WIDTH - NAME), placeholder=" ...")
    for i, line in enumerate(textwrap.wrap(short, WIDTH - NAME)):
        yield f"{name if i == 0 else '':<{NAME}}{line}"
