"""Called by mkdocs: makes the reference from the code, and lists the decisions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

HERE: Final = Path(__file__).parent
DECISIONS: Final = HERE.parent / "decisions"
LIST_OF_DECISIONS: Final = "<!-- the list is made when the site is built -->"


def decisions() -> dict[str, str]:
    """Each decision's title by its file, in order."""
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    return {page.name: page.read_text("utf-8").splitlines()[0].removeprefix("# ") for page in pages}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    pages = ["decisions/index.md", *({title: f"decisions/{name}"} for name, title in decisions().items())]
    config.nav = [*(config.nav or []), {"Decisions": pages}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    sys.path.insert(0, str(HERE.parent))  # here, since mkdocs undoes what a hook adds while it is loaded
    from _reference.reference import PAGES

    for name, render in PAGES.items():
        files.append(File.generated(config, f"reference/{name}", content=render()))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    if LIST_OF_DECISIONS not in markdown:
        return markdown
    return markdown.replace(LIST_OF_DECISIONS, "\n".join(f"- [{title}]({name})" for name, title in decisions().items()))
