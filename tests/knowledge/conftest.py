"""A knowledge base for a test, empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from knowledge.knowledge_stage import Base, serving


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with serving(tmp_path) as found:
        yield found
