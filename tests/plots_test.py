"""Pictures: all that is to be drawn is."""

import pytest

from rlax_pref import plots


def test_every_bar_is_drawn(tmp_path, monkeypatch):
    names = [f"program {i}" for i in range(len(plots.COLORS))]
    drawn = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: drawn.append(figure))
    groups = {"a": dict.fromkeys(names, 1.0), "b": {names[-1]: 2.0}}
    plots.bars(tmp_path / "bars.png", groups, names=names, ylabel="", title="")
    (axes,) = drawn[0].axes
    assert len(axes.patches) == len(names) + 1
    assert len({bar.get_facecolor() for bar in axes.patches}) == len(names)


def test_more_than_can_be_told_apart_is_refused(tmp_path):
    names = [f"program {i}" for i in range(len(plots.COLORS) + 1)]
    with pytest.raises(ValueError, match="colours: draw fewer at once"):
        plots.bars(tmp_path / "bars.png", {}, names=names, ylabel="", title="")
    assert not list(tmp_path.iterdir())
