"""The Grafana dashboard, and what its queries say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARD: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "docs" / "grafana" / "agentops.json").read_text("utf-8")
)
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
VARIABLES: Final[dict[str, dict[str, Any]]] = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
WORDS: Final = {"by", "histogram_quantile", "increase", "label_values", "max", "min", "rate", "sum", "topk"}
"""The functions and keywords of the queries; any other name in one is that of a metric, or of a label."""

_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR: Final = re.compile(r"\{(?:[^}\"]|\"(?:[^\"\\]|\\.)*\")*\}")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPING: Final = re.compile(r"\bby\s*\(([^)]*)\)")
_NAME: Final = re.compile(r"(?<![\w$])[a-zA-Z_]\w*")


class Matcher(NamedTuple):
    label: str
    operator: str
    value: str

    @property
    def is_fixed(self) -> bool:
        """Whether it names values that must occur: no variable, and nothing that is left out."""
        return "$" not in self.value and self.operator in {"=", "=~"}

    def takes(self, value: str) -> bool:
        return value == self.value if self.operator == "=" else re.fullmatch(self.value, value) is not None


class Query(NamedTuple):
    """What a query says: each metric with its matchers, and the labels that it groups by."""

    where: str
    metrics: list[tuple[str, list[Matcher]]]
    groups: set[str]
    shown: set[str]


def read_query(where: str, expression: str, legend: str = "") -> Query:
    metrics: list[tuple[str, list[Matcher]]] = []
    groups = {label.strip() for found in _GROUPING.findall(expression) for label in found.split(",")}
    rest = _GROUPING.sub(lambda found: " " * len(found[0]), expression)
    plain = _SELECTOR.sub(lambda found: " " * len(found[0]), rest)
    if found := re.fullmatch(r"label_values\((.*), (\w+)\)", expression):
        groups, plain = {found[2]}, plain[: found.start(2)]
    for name in _NAME.finditer(_TEXT.sub("", plain)):
        if name[0] not in WORDS:
            selector = _SELECTOR.match(rest, name.end())
            metrics.append((name[0], [Matcher(*each) for each in _MATCHER.findall(selector[0] if selector else "")]))
    return Query(where, metrics, groups, set(re.findall(r"\{\{(\w+)\}\}", legend)))


def queries() -> Iterator[Query]:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            yield read_query(panel["title"], target["expr"], target["legendFormat"])
    for name, variable in VARIABLES.items():
        if variable["type"] == "query":
            yield read_query(f"${name}", variable["query"]["query"])


QUERIES: Final = list(queries())
