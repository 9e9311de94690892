"""Pictures that a person would rather look at than read. Matplotlib is loaded when one is drawn."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (
    "#3b6fb6",
    "#d1603d",
    "#4d9a6a",
    "#8d6cab",
    "#b8860b",
    "#5f8f9c",
    "#c2558b",
    "#7a7a7a",
    "#6b8e23",
    "#8b5a3c",
)
# What lies on a cell of a grid world, by its code without mud: a letter and its colour.
_THINGS = {1: ("G", "#2e8b57"), 3: ("S", "#c0392b"), 4: ("o", "#c9a227"), 5: ("x", "#555555")}
_HOUSE, _MUD = 2, 6
# The triangle of each action within a cell, and the arrow along it: up, down, left, right.
_CENTER = (0.5, 0.5)
_CORNERS = [((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 0), (0, 1)), ((1, 0), (1, 1))]
_ARROWS = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])


class Curve(NamedTuple):
    """A curve to draw, and how."""

    name: str
    x: Sequence[float] | np.ndarray  # [P]
    y: Sequence[float] | np.ndarray  # [P]
    error: Sequence[float] | np.ndarray | None = None  # [P] half the width of a band around it
    color: int = 0  # which of `COLORS`
    dashed: bool = False


def _figure(width: float, height: float, columns: int = 1) -> tuple["Figure", Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _colors(number: int) -> tuple[str, ...]:
    """So many colours that can be told apart."""
    if number > len(COLORS):
        raise ValueError(f"{number} things to draw, and {len(COLORS)} colours: draw fewer at once")
    return COLORS[:number]


def _save(figure: "Figure", path: pathlib.Path) -> None:
    """Writes the picture whole or not at all."""
    fresh = path.with_suffix(".tmp.png")
    figure.savefig(fresh)
    fresh.replace(path)


def learning_curves(
    path: pathlib.Path,
    steps: np.ndarray,
    curves: Mapping[str, np.ndarray],
    *,
    ylabel: str,
    title: str,
    reference: Mapping[str, float] | None = None,
    ylim: tuple[float, float] | None = None,
) -> None:
    """Draws each curve's mean over seeds, and every seed faintly behind it.

    Args:
      path: where the PNG goes.
      steps: `[P]` environment steps.
      curves: by name, `[seeds, P]`; values below `ylim` are drawn at its edge.
      ylabel: what the values are, with their unit.
      title: the finding, in a line.
      reference: levels to draw as dotted lines.
      ylim: range of the vertical axis.

    Raises:
      ValueError: there are more curves than `COLORS`.
    """
    figure, (axes,) = _figure(6.4, 4.0)
    for color, (name, values) in zip(_colors(len(curves)), curves.items(), strict=True):
        shown = np.clip(values, *ylim) if ylim else values
        for seed in shown:
            axes.plot(steps, seed, color=color, alpha=0.18, linewidth=1)
        axes.plot(steps, shown.mean(0), color=color, linewidth=2.2, label=name)
    for name, level in (reference or {}).items():
        axes.axhline(level, color="#888888", linestyle=":", linewidth=1)
        axes.annotate(
            name, (steps[-1], level), ha="right", va="bottom", fontsize=8, color="#666666"
        )
    axes.set(xlabel="environment steps", ylabel=ylabel, ylim=ylim)
    axes.set_title(title, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    _save(figure, path)


def panels(
    path: pathlib.Path,
    curves: Mapping[str, Sequence[Curve]],
    *,
    xlabel: str | Mapping[str, str],
    ylabel: str,
    title: str,
    ylim: tuple[float, float] | None = None,
    xscale: str = "linear",
    points: bool = False,
) -> None:
    """Draws curves in panels side by side, on one vertical scale; one legend serves all.

    Args:
      path: where the PNG goes.
      curves: by the name of the panel.
      xlabel: what the horizontal axis is, with its unit; or that by the name of the panel.
      ylabel: what the values are, with their unit.
      title: the finding, in a line.
      ylim: range of the vertical axis.
      xscale: of the horizontal axis: "linear", "log", or "symlog" for values of either sign.
      points: draw faint points instead of lines, and both axes through 0.
    """
    figure, columns = _figure(max(6.4, 3.3 * len(curves)), 4.0, len(curves))
    for axes, (name, shown) in zip(columns, curves.items(), strict=True):
        for curve in shown:
            x, y = np.asarray(curve.x), np.asarray(curve.y)
            color = COLORS[curve.color % len(COLORS)]
            style: dict[str, Any] = {
                "linestyle": "--" if curve.dashed else "-",
                "marker": "o",
                "markersize": 4,
            }
            if points:
                style |= {"linestyle": "", "markersize": 6, "markeredgewidth": 0, "alpha": 0.45}
            elif len(x) > 10:
                style |= {"marker": ""}
            axes.plot(x, y, color=color, label=curve.name, **style)
            if curve.error is not None:
                error = np.asarray(curve.error)
                axes.fill_between(x, y - error, y + error, color=color, alpha=0.13, lw=0)
        if points:
            axes.axhline(0, color="#888888", linewidth=0.8)
            axes.axvline(0, color="#888888", linewidth=0.8)
        said = xlabel if isinstance(xlabel, str) else xlabel[name]
        axes.set(xlabel=said, ylim=ylim, xscale=xscale)
        axes.sharey(columns[0])
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelleft=axes is columns[0])
    columns[0].set_ylabel(ylabel)
    handles, labels = columns[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def bars(
    path: pathlib.Path,
    groups: Mapping[str, Mapping[str, float]],
    *,
    names: Sequence[str],
    ylabel: str,
    title: str,
) -> None:
    """Draws groups of bars, each with its number, and a line at 1.

    Args:
      path: where the PNG goes.
      groups: by the name of the group and of the bar; a group may lack bars.
      names: of all bars, in the order of their colours.
      ylabel: what the values are.
      title: the finding, in a line.

    Raises:
      ValueError: there are more names than `COLORS`.
    """
    figure, (axes,) = _figure(max(6.4, 1.8 * len(groups)), 4.0)
    width = 0.85 / len(names)
    for color, name in zip(_colors(len(names)), names, strict=True):
        x, y = [], []
        for i, group in enumerate(groups.values()):
            if name in group:
                x.append(i + width * (list(group).index(name) - (len(group) - 1) / 2))
                y.append(group[name])
        shown = axes.bar(x, y, 0.92 * width, color=color, label=name)
        axes.bar_label(shown, fmt="%.2f", fontsize=6.5, color="#444444")
    axes.axhline(1, color="#888888", linestyle=":", linewidth=1)
    axes.set_xticks(range(len(groups)), list(groups), fontsize=8)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11)
    figure.legend(loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    _save(figure, path)


def grid_advantages(
    path: pathlib.Path,
    board: np.ndarray,
    advantages: Mapping[str, np.ndarray],
    *,
    title: str,
) -> None:
    """Draws boards side by side: each action's advantage as a coloured triangle, best ones arrowed.

    Args:
      path: where the PNG goes.
      board: `[H, W]` cell codes, as in `envs.GridWorld`.
      advantages: by name, `[H * W, 4]`, of up, down, left and right. Each board has a scale of
        its own, since learned advantages have a unit of their own.
      title: the finding, in a line.
    """
    height, width = board.shape
    figure, panels = _figure(5.2 * len(advantages), 5.2 * height / width + 0.9, len(advantages))
    for axes, (name, table) in zip(panels, advantages.items(), strict=True):
        _draw_board(axes, board, np.asarray(table).reshape(height, width, 4))
        axes.set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=12)
    _save(figure, path)


def _draw_board(axes: "Axes", board: np.ndarray, table: np.ndarray) -> None:
    from matplotlib.collections import PolyCollection

    height, width = board.shape
    open_cells = ~np.isin(board % _MUD, (1, _HOUSE, 3))
    gap = table - table.max(-1, keepdims=True)
    scale = np.quantile(-gap[open_cells], 0.9) or 1.0
    triangles, shades = [], []
    for row, column in np.argwhere(open_cells):
        origin = np.array((column, row))
        for corners, lost in zip(_CORNERS, -gap[row, column], strict=True):
            triangles.append([origin + point for point in (*corners, _CENTER)])
            shades.append(1.0 - min(lost / scale, 1.0))
        best = gap[row, column] >= -1e-6 * max(scale, 1.0)
        for step in _ARROWS[best]:
            tip = origin + 0.5 + 0.36 * step
            axes.annotate(
                "",
                xy=tuple(tip),
                xytext=tuple(origin + 0.5 - 0.05 * step),
                arrowprops={"arrowstyle": "-|>", "color": "#1b2a41", "lw": 1.3},
            )
    axes.add_collection(
        PolyCollection(triangles, array=np.array(shades), cmap="Blues", clim=(-0.15, 1.6))
    )
    for (row, column), code in np.ndenumerate(board):
        kind = int(code) % _MUD
        if code >= _MUD:
            axes.fill_between([column, column + 1], row, row + 1, color="#a9784f", alpha=0.28, lw=0)
        if kind == _HOUSE:
            axes.fill_between([column, column + 1], row, row + 1, color="#8a8f98", lw=0)
        if kind in _THINGS:
            letter, color = _THINGS[kind]
            if not open_cells[row, column]:
                axes.fill_between([column, column + 1], row, row + 1, color=color, lw=0)
                at, color = (column + 0.5, row + 0.5), "white"
            else:
                at = (column + 0.82, row + 0.2)
            axes.text(*at, letter, ha="center", va="center", color=color, weight="bold", size=10)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
    for x in range(width + 1):
        axes.axvline(x, color="white", linewidth=0.8)
    for y in range(height + 1):
        axes.axhline(y, color="white", linewidth=0.8)
    axes.set_xlabel("G goal   S sheep   o coin   x roadblock   grey house   brown mud", fontsize=8)
