"""What an OpenTelemetry instrument is called in Prometheus.

The rules are those of "Prometheus and OpenMetrics Compatibility" in OpenTelemetry's specification:
characters that Prometheus does not know become `_`, units become suffixes, counters end in `_total`.
One rule is added: a gauge loses an ending that only counters and histograms may have, since
`promtool check metrics` refuses it.
"""

import re
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

_UNKNOWN = re.compile(r"[^a-zA-Z0-9:]+")
_UNKNOWN_IN_LABEL = re.compile(r"[^a-zA-Z0-9]+")
_ANNOTATION = re.compile(r"\{[^}]*\}")
_RESERVED_LABELS = {"le", "quantile"}
_RESERVED = re.compile(r"(?:_(?:bucket|count|info|sum|total))+$")

# UCUM, as instruments name it, and as Prometheus does.
_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "kBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
}
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month"}


def unit_suffix(unit: str, kind: Kind) -> str:
    """Return the words for a unit in UCUM, or an empty text if it has none in a name."""
    if unit == "1":
        return "ratio" if kind == "gauge" else ""
    amount, _, period = _ANNOTATION.sub("", unit).strip().partition("/")
    words = [_UNITS.get(amount, _UNKNOWN.sub("_", amount).strip("_"))]
    if period:
        words.append(f"per_{_PER.get(period, _UNKNOWN.sub('_', period).strip('_'))}")
    return "_".join(word for word in words if word)


def metric_name(name: str, *, unit: str, kind: Kind) -> str:
    """Return the name of a metric, without the `_total` of counters.

    `unit` is what `unit_suffix` returned; a name that ends in it does not get it twice.
    """
    plain = _UNKNOWN.sub("_", name).strip("_") or "unnamed"
    if plain[0].isdigit():
        plain = f"_{plain}"
    if kind == "counter":
        plain = plain.removesuffix("_total")
    if unit and not f"_{plain}".endswith(f"_{unit}"):
        plain = f"{plain}_{unit}"
    if kind == "gauge":
        plain = _RESERVED.sub("", plain) or plain
    return plain


def label_name(key: str) -> str:
    """Return the name of the label for an attribute."""
    plain = _UNKNOWN_IN_LABEL.sub("_", key).strip("_") or "unnamed"
    return f"key_{plain}" if plain[0].isdigit() or plain in _RESERVED_LABELS else plain
