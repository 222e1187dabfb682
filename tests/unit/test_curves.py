"""Curves of a tuning as SVG that a report can take in."""

from xml.etree import ElementTree

from sluice_worker.training import curves
from sluice_worker.training.tuning_progress import Progress, series

SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_names_its_series_and_is_the_same_each_time() -> None:
    given = {"loss": [(step, 1 / step) for step in range(1, 200)], "dev loss & <more>": [(50, 0.5), (100, 0.4)]}
    drawn = curves.svg(given, title="Verluste 损失")
    assert drawn.startswith("<svg")
    root = ElementTree.fromstring(drawn)
    texts = {"".join(each.itertext()).strip() for each in root.iter(f"{SVG}text")}
    assert {"loss", "dev loss & <more>", "step", "Verluste 损失"} <= texts
    assert curves.svg(given, title="Verluste 损失") == drawn


def test_nothing_to_draw_is_an_empty_picture() -> None:
    assert ElementTree.fromstring(curves.svg({}, title="t")).tag == f"{SVG}svg"


def test_lines_of_progress_are_two_series() -> None:
    lines = [Progress(1, 2, loss=3.0), Progress(2, 2, loss=2.0), Progress(2, 2, dev_loss=2.5)]
    assert series(lines) == (((1, 3.0), (2, 2.0)), ((2, 2.5),))
    assert [each.share for each in lines] == [0.5, 1.0, 1.0]
