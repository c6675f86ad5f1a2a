"""Figures for Prometheus, in its text format; whoever serves them asks for `exposition`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from agentops.figures import FigureSettings, KeepsFigures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentops.figures import Figure, FigureKind, Labels

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class PrometheusSettings(FigureSettings):
    """`use = "prometheus"`."""

    prefix: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_]*_)?(?!\n)$")] = "agentops_"


class Prometheus(KeepsFigures[PrometheusSettings]):
    """Keeps what it is told until somebody asks."""

    def name_of(self, name: str, kind: FigureKind) -> str:
        plain = self.settings.prefix + re.sub(r"[^a-zA-Z0-9_]", "_", name)
        if plain[:1].isdigit() or not plain:
            plain = f"_{plain}"
        return f"{plain}_total" if kind == "counter" else plain

    def exposition(self) -> tuple[bytes, str]:
        """Everything that was told, and the media type it is written in."""
        lines = (line for name, figure in self.now() for line in _lines(name, figure))
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), MEDIA_TYPE


def _lines(name: str, figure: Figure) -> Iterator[str]:
    yield f"# TYPE {name} {figure.kind}"
    for labels, values in figure.now():
        if figure.kind == "histogram":
            yield from _buckets(name, labels, values, figure.bounds)
        else:
            yield f"{name}{_braced(labels)} {_number(values[0])}"


def _buckets(name: str, labels: Labels, values: Sequence[float], bounds: Sequence[float]) -> Iterator[str]:
    total = 0.0
    for bound, count in zip([*bounds, math.inf], values[:-1], strict=True):
        total += count
        yield f"{name}_bucket{_braced((*labels, ('le', _number(bound))))} {_number(total)}"
    yield f"{name}_sum{_braced(labels)} {_number(values[-1])}"
    yield f"{name}_count{_braced(labels)} {_number(total)}"


def _braced(labels: Labels) -> str:
    written = {_label(name): _value(value) for name, value in labels}
    return "{" + ",".join(f'{name}="{value}"' for name, value in written.items()) + "}" if written else ""


def _label(name: str) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name).lstrip("_") or "label"
    return f"label_{plain}" if plain[0].isdigit() else plain


def _value(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(int(value)) if value == int(value) else repr(value)
