"""Draws the plots of `make bench`: time compared with the bound, and arrivals per second compared with the limit."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "linker"  # the same figures, the same file
mpl.rcParams["svg.fonttype"] = "none"  # text as text

COLOURS = {
    "linker": "#1b7f5c",
    "two aiolimiters by hand": "#c2622d",
    "aiometer + httpx": "#6b6fb5",
    "stamina": "#999999",
}


def draw(measured: dict[str, Any], folder: Path) -> None:
    """Write `time-by-window.svg` and `arrivals.svg`."""
    _times(measured["at_a_limit"], folder / "time-by-window.svg")
    _arrivals(measured["at_a_limit"], folder / "arrivals.svg")


def _times(rows: list[dict[str, Any]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    windows = [window for window, _ in groupby(rows, key=lambda row: row["window"])]
    width = 0.8 / len(COLOURS)
    for number, (peer, colour) in enumerate(COLOURS.items()):
        of_peer = [row for row in rows if row["peer"] == peer]
        at = [place + number * width - 0.4 + width / 2 for place in range(len(windows))]
        bars = axes.bar(at, [row["time_by_bound"] for row in of_peer], width * 0.92, color=colour, label=peer)
        axes.bar_label(bars, [f"{row['refused']} × 429" for row in of_peer], fontsize=7, padding=2)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.annotate("the bound", (len(windows) - 0.52, 1.0), fontsize=8, va="bottom", ha="right")
    axes.set_xticks(range(len(windows)), [f"{window} window" for window in windows])
    axes.set_ylabel("time ÷ bound")
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _arrivals(rows: list[dict[str, Any]], path: Path) -> None:
    of_sliding = [row for row in rows if row["window"] == "sliding"]
    figure, each = plt.subplots(len(of_sliding), 1, figsize=(8, 6), sharex=True, layout="constrained")
    for axes, row in zip(each, of_sliding, strict=True):
        counts = row["arrivals_a_second"]
        axes.bar(range(len(counts)), counts, 0.9, color=COLOURS[row["peer"]])
        axes.axhline(20, color="black", linewidth=0.8)
        axes.set_title(f"{row['peer']}: {row['refused']} × 429", fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(0, 45)
    each[0].annotate("20 a second", (0.99, 21), xycoords=("axes fraction", "data"), fontsize=8, ha="right")
    each[-1].set_xlabel("second (sliding window)")
    figure.supylabel("requests at the server", fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
