"""What a copy came to, in a table and in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops.cli.failures import Failure
from agentops.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.sql.copying.verifying import Checked


def print_checked(checked: Sequence[Checked]) -> None:
    print_table(("table", "rows", "digest", "both sides"), [_row(each) for each in checked])


def require_equal(checked: Sequence[Checked], remedy: str) -> None:
    different = [each for each in checked if each.difference]
    if different:
        found = "; ".join(each.difference for each in different)
        raise Failure(f"the two are not equal: {found}. {remedy}")


def say_level(copied: int, left: int) -> None:
    behind = f"; {left:,} more were recorded meanwhile" if left else ""
    click.echo(f"Copied {copied:,} rows{behind}. The target is level with the source as it was a moment ago.")
    click.echo(
        "It is not whole yet: another process still has the source open. Stop the server there, and run the same "
        "command again: it copies what is left, compares both row by row, and opens the target.",
        err=True,
    )


def _row(each: Checked) -> Sequence[str]:
    if not each.difference:
        return each.table, f"{each.source.rows:,}", each.source.digest, "equal"
    rows = f"{each.source.rows:,} / {each.target.rows:,}"
    return each.table, rows, f"{each.source.digest} / {each.target.digest}", "different"
