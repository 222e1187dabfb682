"""Where sentences end, in Chinese and in English text."""

import re

from sluice_worker.protocol.cluster import joins

_CLOSERS = "[”’」』）)\\]】》\"']*"
# A run of dots is looked at once, from its first on: dotted lines can be long.
_END = re.compile(
    rf"(?P<sure>[。！？!?…｡]+{_CLOSERS}|\n)\s*|(?P<dot>(?<![.．])[.．]++){_CLOSERS}(?P<gap>\s+|\Z|(?=[\u3400-\u9fff]))"
)
_WORD = re.compile(r"[\w.]*\Z")
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|dr|prof|sr|jr|st|mt|ft|vs|etc|inc|ltd|co|corp|llc|plc|dept|est|approx|al"
    r"|ca|cf|gen|col|capt|lt|sgt|rep|sen|gov|pres|rev|hon|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
    r"|[a-z]|.*\..*)",  # an initial, or letters with full stops between: U.S.
    re.IGNORECASE | re.ASCII,
)
_BEFORE_NUMBER = re.compile(r"nos?|vols?|p|pp|figs?|eqs?|secs?|ch|arts?", re.IGNORECASE | re.ASCII)


def sentence_ends(text: str) -> list[int]:
    """The end of each sentence as an offset, white space behind it included; the last one is the text's own end.

    A line break ends a sentence. A full stop does so before white space or Chinese, unless it follows an abbreviation
    or an initial, or a small letter comes next. No end cuts a character in two.
    """
    found = (match for match in _END.finditer(text) if match["sure"] or _is_full_stop(text, match))
    ends = [match.end() for match in found if not joins(text, match.end())]
    if text and (not ends or ends[-1] != len(text)):
        ends.append(len(text))
    return ends


def _is_full_stop(text: str, match: re.Match[str]) -> bool:
    if "\n" in (match["gap"] or ""):
        return True
    following = text[match.end() : match.end() + 1]
    word = _WORD.search(text, max(0, match.start() - 20), match.start())
    before = word[0] if word else ""
    is_numbered = following.isdigit() and _BEFORE_NUMBER.fullmatch(before)
    return not (following.islower() or is_numbered or _ABBREVIATION.fullmatch(before))
