"""Pictures: drawn by matplotlib, which is imported here alone, as SVG for a page and as PNG.

The lines and letters of an SVG have the colour of the page's text (`currentColor`), so that it is readable on a light and on a dark page.
"""

import importlib.util
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = 'pictures need matplotlib: python -m pip install "plugformer[pictures]"'
_TEXT = "#1b1f24"
GRID = "#8b949e"  # readable on white and on black
# Okabe and Ito 2008, https://jfly.uni-koeln.de/color, for all kinds of colour vision, without black and yellow
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b949e")
MARKS = "osD^vP*"
SHADES = "cividis"  # Nuñez et al. 2018, https://doi.org/10.1371/journal.pone.0199239
_WIDTH = 7.2  # inches: 520 points
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plugformer",
    "text.parse_math": False,  # a token may be a dollar
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": GRID,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
}


@dataclass(frozen=True)
class Picture:
    """A picture. name: of its file, without ending. caption: what it shows, in one or two sentences. svg: an element for HTML."""

    name: str
    caption: str
    svg: str
    png: bytes


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_available() -> None:
    """UserError: matplotlib is not installed."""
    if not available():
        raise UserError(MISSING)


def picture(name: str, caption: str, height: float, draw: "Callable[[Figure], None]", width: float = _WIDTH) -> Picture:
    """A picture of so many inches. draw: fills an empty figure."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that no installed font has; the SVG has it
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # the places stay those of the SVG
        figure.savefig(png, format="png", dpi=144, facecolor="white", metadata={"Software": None})
    return Picture(name, caption, _inline(svg.getvalue(), caption), png.getvalue())


def _inline(svg: str, caption: str) -> str:
    """An SVG document as an element that takes the width of the page and the colour of its text."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    size = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', element)
    assert size is not None
    element = re.sub(r'\s(width|height)="[\d.]+pt"', "", element, count=2)
    element = element.replace("<svg", f'<svg role="img" aria-label="{_attribute(caption)}" style="{_widths(float(size[1]))}"', 1)
    element = re.sub(r"font:\s*([\d.]+px)\s[^;\"]*", r"font: \1 sans-serif", element)
    return element.replace(_TEXT, "currentColor")


def _widths(points: float) -> str:
    """As wide as the page, within bounds: on a phone the letters stay readable, and a wide picture is scrolled."""
    return f"min-width:{min(448, points):.0f}px;max-width:{points * 1.4:.0f}px"


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def grid(axes: "Axes", axis: Any = "both") -> None:
    """Thin lines behind what is drawn."""
    axes.grid(True, axis=axis)
    axes.set_axisbelow(True)


def short(text: str, width: int = 24) -> str:
    """A label of at most so many characters, on one line."""
    text = " ".join(text.split()) or repr(text)
    return text if len(text) <= width else f"{text[: width - 1]}…"
