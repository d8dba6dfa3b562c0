"""The chart of the data benchmark: bars on a logarithmic scale, as SVG."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

# Distinct also to the colour-blind (Okabe and Ito), on white and on black.
_COLOURS = {
    "raw SQLAlchemy": "#999999",
    "fastapi-baseline": "#0072b2",
    "advanced-alchemy": "#e69f00",
    "fastcrud": "#009e73",
    "fastapi-pagination": "#cc79a7",
}
_LEFT, _PLOT, _RIGHT = 300, 480, 80
_BAR, _GAP, _TOP, _BOTTOM = 11, 12, 76, 46


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A group of bars: an operation, and what each contender takes."""

    label: str
    milliseconds: Mapping[str, float]


def draw(bars: Sequence[Bar], *, caption: str) -> str:
    """Return an SVG in which a bar that is as long again stands for many times as much."""
    values = [value for bar in bars for value in bar.milliseconds.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    heights = [len(bar.milliseconds) * _BAR + _GAP for bar in bars]
    height, width = _TOP + sum(heights) + _BOTTOM, _LEFT + _PLOT + _RIGHT

    def right(value: float) -> float:
        return _LEFT + _PLOT * (math.log10(value) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' role="img" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(width / 2, 20, "Milliseconds of one call, PostgreSQL 1 ms away", size=14),
        *_legend(),
    ]
    for power in range(low, high + 1):
        x = right(10.0**power)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - _BOTTOM}" stroke="#dddddd"/>'
        )
        parts.append(_text(x, height - _BOTTOM + 14, f"{10.0**power:g}"))
    y = float(_TOP)
    for bar, tall in zip(bars, heights, strict=True):
        parts.append(_text(_LEFT - 8, y + (tall - _GAP) / 2 + 4, bar.label, anchor="end"))
        for number, (name, value) in enumerate(bar.milliseconds.items()):
            top = y + number * _BAR
            parts.append(
                f'<rect x="{_LEFT}" y="{top:.1f}" width="{right(value) - _LEFT:.1f}"'
                f' height="{_BAR - 2}" fill="{_COLOURS[name]}"/>'
            )
            parts.append(
                _text(right(value) + 4, top + _BAR - 3, f"{value:.3g}", anchor="start", size=9)
            )
        y += tall
    parts.append(_text(width / 2, height - 10, caption, size=9))
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> Iterable[str]:
    for number, (name, colour) in enumerate(_COLOURS.items()):
        x = 60 + number * 160
        yield f'<rect x="{x}" y="38" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 18, 48, name, anchor="start")


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
        f' fill="#222222">{escape(text)}</text>'
    )
