"""Log lines: one event, one line, whatever its values hold."""

import subprocess
import sys

SAYS = """
import structlog
from sluice_worker.process.logs import configure
configure("INFO")
structlog.get_logger().info("An event.", action="a", id="x\\n12:00:00 level=info event=forged \\x1b[2J")
"""


def test_values_cannot_forge_a_line_or_steer_a_terminal() -> None:
    said = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True, check=True).stderr
    assert len(said.splitlines()) == 1
    assert "forged" in said
    assert "\x1b" not in said
