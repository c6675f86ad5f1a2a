"""Lists that come a page at a time: what is asked for, and where the next page is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote

from agentops.core.errors import BadRequest
from agentops.core.http.gate import ENCODED_SLASH

if TYPE_CHECKING:
    from litestar import Request

DIGITS_MOST: Final = 18
"""A number of more would not fit into a column of any database."""


def query_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """What stands behind the question mark; of a name that is there twice, the last."""
    raw = request.scope["query_string"]
    return dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)) if raw else {}


def is_number(text: str) -> bool:
    """Whether it is one as a cursor, an id or a time is written in a query: nothing but digits, and not too many."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_MOST


def number_of(asked: dict[str, str], name: str, meaning: str, code: str) -> int | None:
    """The number of this name, if there is one; `meaning` says, to whoever sent something else, what it is."""
    text = asked.get(name)
    if not text:
        return None
    if not is_number(text):
        raise BadRequest(f"`{name}` is {meaning}", code=code, param=name)
    return int(text)


def limit_of(asked: dict[str, str], default: int, most: int) -> int:
    """A `limit`: one and more, and whatever is above the most is taken as the most."""
    text = asked.get("limit")
    if text is None or text == "":
        return default
    if not text.isascii() or not text.isdigit() or not text.strip("0"):
        raise bad_limit()
    return most if len(text) > DIGITS_MOST else min(int(text), most)


def bad_limit() -> BadRequest:
    return BadRequest("a limit is a whole number of 1 and more", code="invalid_limit", param="limit")


def next_page(request: Request[Any, Any, Any], **place: str) -> dict[str, str]:
    """The same question from another place on, as a `Link` header that a client may follow blindly."""
    asked = {**query_of(request), **place}
    query = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in asked.items())
    path = "%2F".join(map(quote, request.scope["path"].split(ENCODED_SLASH)))
    return {"Link": f'<{path}?{query}>; rel="next"'}
