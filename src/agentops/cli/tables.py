"""Lists on standard output: a table for people, or a JSON object a line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as they need; nothing in a cell can steer the terminal."""
    from agentops.cli.tailing.lines import printable

    lines = [tuple(heads), *(tuple(map(printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def print_json(records: Iterable[Mapping[str, object]]) -> None:
    import msgspec

    for record in records:
        click.echo(msgspec.json.encode(record))


def moment(milliseconds: int) -> str:
    """The local time, to the minute."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone():%Y-%m-%d %H:%M}"
