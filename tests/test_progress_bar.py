from ipywidgets import IntProgress

from wslearn.lab import progress_bar as module
from wslearn.lab.keepalive import KTOR, sweep
from wslearn.lab.progress_bar import progress_bar


def shown(monkeypatch) -> list[IntProgress]:
    bars = []
    monkeypatch.setattr(module, "display", bars.append)
    return bars


def test_bar_says_in_words_how_far_the_work_is(monkeypatch):
    bars = shown(monkeypatch)
    move = progress_bar("rows")
    move(2, 5)
    (bar,) = bars
    assert (bar.description, bar.value, bar.max, bar.bar_style) == ("rows: 2 of 5", 2, 5, "")
    move(5, 5)
    assert (bar.description, bar.value, bar.bar_style) == ("rows: 5 of 5", 5, "success")


def test_sweep_moves_a_bar_to_its_end(monkeypatch):
    bars = shown(monkeypatch)
    sweep(KTOR, (5, 10), (2, 4, 6), runs=1, processes=1, progress=progress_bar("Ktor"))
    assert bars[0].description == "Ktor: 3 of 3"
