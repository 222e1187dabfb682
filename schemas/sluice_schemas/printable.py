"""Words of strangers, made fit for a terminal and a log."""


def printable(sentence: str) -> str:
    """On one line, and nothing in it can steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in sentence)
