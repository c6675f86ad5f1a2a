"""Every block of every page runs, and every page leads where it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.docs.blocks import LANGUAGES, NOT_CODE_OF_OURS, Block, blocks_of, is_run
from tests.docs.reader import Mismatch, Reader

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
}
RUNNING: Final = {
    name: found for name, text in PAGES.items() if (found := [block for block in blocks_of(text) if is_run(block)])
}

_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize(("name", "blocks"), RUNNING.items(), ids=RUNNING)
def test_blocks_run(name: str, blocks: list[Block], tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        for block in blocks:
            try:
                reader.follow(block)
            except Mismatch as error:
                raise Mismatch(f"{name}:{block.line}: {error}") from None


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is(name: str) -> None:
    unknown = [b.line for b in blocks_of(PAGES[name]) if b.language not in LANGUAGES + NOT_CODE_OF_OURS]
    assert unknown == []


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    lost = [
        target
        for target in _LINK.findall(PAGES[name])
        if not (folder / target).exists() and "/reference/" not in str((folder / target).resolve())
    ]
    assert lost == []
