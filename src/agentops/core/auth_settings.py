"""What the settings of authenticators have in common: the name of a header, and a secret sent in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from msgspec import Meta

from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentops.core.secret import Secret

HeaderName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", description="one word of letters, digits, `-` and `_`")
]
NotEmpty: TypeAlias = Annotated[str, Meta(min_length=1)]


def check_secret(key: str, secret: Secret) -> Iterator[Problem]:
    """Say when no client could send this secret in a header, or when sending nothing would match it."""
    text = secret.reveal()
    if not text:
        yield Problem(
            key,
            "the secret is empty",
            "whoever sends an empty one would match it",
            "write one, or remove it",
        )
    elif text != text.strip():
        yield Problem(
            key,
            "the secret begins or ends with white space",
            "white space around the value of a header is not part of it, so nobody could ever send this one",
            "remove it; a line break often comes from how the secret was written to its file",
        )
    elif not (text.isascii() and text.isprintable()):
        yield Problem(
            key,
            "the secret holds characters that a header does not carry",
            "clients send those that are not printable ASCII in different ways, or not at all",
            "make another of letters, digits and punctuation",
        )
