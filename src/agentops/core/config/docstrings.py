"""What the source of a settings type says about it and about each of its fields."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from textwrap import dedent
from typing import Any


def docstrings(settings: type[Any]) -> dict[str, str]:
    """The text under each field, by its name, and the text of the class itself by the empty one."""
    found: dict[str, str] = {}
    for each in reversed(settings.__mro__):
        found |= _own(each)
    text = inspect.cleandoc(settings.__doc__ or "")
    return {**found, **({"": text} if text else {})}


def _own(settings: type[Any]) -> dict[str, str]:
    try:
        tree = ast.parse(dedent(inspect.getsource(settings)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
