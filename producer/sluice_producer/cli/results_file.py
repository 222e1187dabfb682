"""The file that `sluice submit --out` fills: each result once, whatever runs and kills it took."""

import fcntl
import hashlib
import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, Conflict
from sluice_schemas.extraction import Extraction

HEAD = b'{"v":1,"job_id":"'
"""How every line begins; a last line without its end that begins otherwise is not ours to cut off."""


class ResultsFile:
    """Results in JSON Lines, appended. What stands in it already is kept; a line torn by a kill is cut off.

    The index of what is written lies in a temporary SQLite file, so that memory does not grow with the results.
    Raises `BadInput` when the file holds anything else, `Conflict` while another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab+")
        self._index = sqlite3.connect("")
        self._index.execute("CREATE TABLE written (place BLOB, language TEXT, PRIMARY KEY (place, language))")
        try:
            self._claim()
            self._take_up()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._index.close()
        self._file.close()

    def holds(self, document: Document, schema_ref: str) -> bool:
        """Whether the result of this document under this schema, read in its language, stands in the file."""
        place = _place(document.id, schema_ref, document.text)
        found = self._index.execute("SELECT language FROM written WHERE place = ?", (place,)).fetchall()
        return any(document.language in ("auto", language) for (language,) in found)

    def write(self, extraction: Extraction, text: str) -> None:
        """Appends the result with its document's text, unless it stands there; a kill cannot take it back."""
        whole = extraction.model_copy(update={"text": text})
        if self._is_new(whole):
            self._file.write(whole.encode() + b"\n")
            self._file.flush()

    def _claim(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict(f"Another process writes {self._path}. Wait for it, or give another --out.") from exc

    def _take_up(self) -> None:
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                self._cut(line, end)
                break
            self._remember(line, number)
            end += len(line)
        self._file.seek(0, os.SEEK_END)

    def _remember(self, line: bytes, number: int) -> None:
        try:
            self._is_new(Extraction.decode(line))
        except BadInput as exc:
            raise BadInput(f"{self._path}: line {number} holds no result; give another --out. {exc}") from exc

    def _cut(self, torn: bytes, end: int) -> None:
        if not (torn.startswith(HEAD) or HEAD.startswith(torn)):
            raise BadInput(f"{self._path}: its last line holds no result; give another --out.")
        self._file.truncate(end)

    def _is_new(self, extraction: Extraction) -> bool:
        place = _place(extraction.document_id, extraction.schema_ref, extraction.text)
        row = (place, extraction.language)
        return self._index.execute("INSERT OR IGNORE INTO written VALUES (?, ?)", row).rowcount == 1


def _place(document_id: str, schema_ref: str, text: str | None) -> bytes:
    return hashlib.sha256(orjson.dumps([document_id, schema_ref, text])).digest()
