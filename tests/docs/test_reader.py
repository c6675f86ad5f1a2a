"""The reader of the pages notices when a page is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import blocks_of, pattern_of
from tests.docs.reader import Mismatch, Reader

if TYPE_CHECKING:
    from pathlib import Path

WRONG_PAGES = {
    "output": "```console\n$ echo one\ntwo\n```",
    "export": "```console\n$ export KEY=$(echo it is told >&2; false)\n```",
    "exit-code": "```sh\nfalse\n```",
    "python": "```python\nraise SystemExit(1)\n```",
    "unknown-key": '```toml\n[server]\nprot = 1\n[storage]\nuse = "sqlite"\n```',
    "nothing-wrong": '<!-- wrong: prot -->\n```toml\n[lanes.a]\npath = "/a"\nserve = ["runs"]\n```',
    "server": "```console\n$ agentops serve --config nowhere.toml\n```",
}


@pytest.mark.parametrize("page", WRONG_PAGES.values(), ids=WRONG_PAGES)
def test_notices(page: str, tmp_path: Path) -> None:
    (block,) = blocks_of(page)
    with Reader(tmp_path) as reader, pytest.raises(Mismatch):
        reader.follow(block)


def test_what_a_command_prints_is_exported_and_what_it_tells_is_not(tmp_path: Path) -> None:
    (block,) = blocks_of("```console\n$ export KEY=$(echo told >&2; echo a b=c)\n$ echo $KEY\na b=c\n```")
    with Reader(tmp_path) as reader:
        reader.follow(block)


def test_directives_belong_to_the_block_right_below() -> None:
    page = "<!-- file: a.py -->\n\n```python\n1\n```\n\n<!-- file: b.py -->\nwords\n```python\n2\n```"
    assert [(block.text, block.said) for block in blocks_of(page)] == [("1\n", {"file": "a.py"}), ("2\n", {})]


@pytest.mark.parametrize(
    ("said", "printed", "same"),
    [
        ("a…c", "a b c", True),
        ("at 1790000000000", "at 1790000000001", True),
        ("count 2", "count 3", False),
        ("a.c", "abc", False),
    ],
)
def test_output_is_compared(said: str, printed: str, *, same: bool) -> None:
    assert (pattern_of(said).fullmatch(printed) is not None) is same
