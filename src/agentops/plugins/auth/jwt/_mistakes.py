"""What is wrong with settings that can be seen offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from agentops.core.lanes import is_loopback
from agentops.core.permissions import is_permission
from agentops.core.problem import Problem
from agentops.plugins.auth.jwt._keys import Material, from_pem, is_shared, misfit
from agentops.plugins.auth.jwt.settings import IssuerSettings, JwtSettings

KEYS: Final = ("secret", "public_key", "jwks_url")


def mistakes(settings: JwtSettings) -> Iterator[Problem]:
    if settings.issuers:
        yield from _beside(settings)
    for key, table in settings.tables.items():
        yield from (problem.within(key) for problem in _of_issuer(table))
    yield from _of_one_name(settings)
    yield from _of_refreshing(settings)


def _beside(settings: JwtSettings) -> Iterator[Problem]:
    """Settings of one issuer in the table that holds several."""
    usual = IssuerSettings()
    for field in msgspec.structs.fields(IssuerSettings):
        if getattr(settings, field.name) != getattr(usual, field.name):
            yield Problem(
                field.name,
                "this stands beside `issuers`",
                "it would change nothing, for each issuer has settings of its own",
                f"move it into the issuers that it is for, such as issuers[0].{field.name}",
            )


def _of_issuer(issuer: IssuerSettings) -> Iterator[Problem]:
    given = [name for name in KEYS if getattr(issuer, name) is not None]
    one_of_them = f"give one of {', '.join(KEYS)}"
    if not given:
        yield Problem("", "there is no key", "there is nothing to check a token against", one_of_them)
    elif len(given) > 1:
        yield Problem(given[1], f"{' and '.join(given)} are given", "which of them counts is not said", one_of_them)
    yield from _of_algorithms(issuer.algorithms)
    if len(given) == 1:
        yield from _of_key(issuer)
    yield from _of_grants("default_permissions", issuer.default_permissions)
    for role, granted in issuer.roles.items():
        yield from _of_grants(f"roles.{role}", granted)


def _of_algorithms(algorithms: Sequence[str]) -> Iterator[Problem]:
    if not algorithms:
        yield Problem("algorithms", "the list is empty", "every token would be refused", "name those the issuer uses")
    shared = [each for each in algorithms if is_shared(each)]
    others = [each for each in algorithms if not is_shared(each)]
    if shared and others:
        yield Problem(
            "algorithms",
            f"{shared[0]} and {others[0]} stand together",
            "a public key, which everybody may know, could be taken for the shared secret",
            "keep one kind, or make two issuers of it",
        )


def _of_key(issuer: IssuerSettings) -> Iterator[Problem]:
    """What is wrong with the one key that is given, where its algorithms are all of one kind."""
    if issuer.jwks_url is not None:
        yield from _of_address(issuer.jwks_url)
    kinds = {is_shared(each) for each in issuer.algorithms}
    if len(kinds) != 1:
        return
    if issuer.secret is not None:
        yield from _of_secret(issuer.secret.reveal(), issuer.algorithms)
    elif kinds == {True}:
        yield Problem(
            "algorithms",
            f"{issuer.algorithms[0]} needs a shared secret, and this issuer has a public key",
            "whoever knows the public key could sign tokens with it",
            'name those the issuer signs with, such as algorithms = ["RS256"]',
        )
    elif issuer.public_key is not None:
        yield from _of_public_key(issuer.public_key.reveal(), issuer.algorithms)


def _of_secret(secret: str, algorithms: Sequence[str]) -> Iterator[Problem]:
    if "-----BEGIN" in secret or secret.startswith(("ssh-", "ecdsa-")):
        yield Problem(
            "secret",
            "this is a key of a pair, not a shared secret",
            "whoever knows its public half could sign tokens with it",
            'write it as public_key, and algorithms = ["RS256"] or another that fits it',
        )
        return
    words = _first_misfit(secret.encode(), algorithms)
    if words is None:
        return
    if is_shared(algorithms[0]):
        yield Problem(
            "secret",
            words,
            "a shorter one can be guessed from any token",
            "make one with: python -c 'import secrets; print(secrets.token_hex(64))'",
        )
    else:
        yield Problem(
            "secret",
            words,
            "a shared secret checks no other signature",
            "give public_key or jwks_url in its place",
        )


def _of_public_key(pem: str, algorithms: Sequence[str]) -> Iterator[Problem]:
    key = from_pem(pem)
    if key is None and "PRIVATE KEY" in pem:
        yield Problem(
            "public_key",
            "this is a private key",
            "whoever reads it here could sign tokens",
            "write its public half: openssl pkey -in key.pem -pubout",
        )
    elif key is None:
        yield Problem(
            "public_key",
            "this is no RSA, EC, Ed25519 or Ed448 public key in PEM",
            "no token could be checked with it",
            "it begins with -----BEGIN PUBLIC KEY-----; of a certificate: openssl x509 -pubkey -noout",
        )
    elif words := _first_misfit(key, algorithms):
        yield Problem("public_key", words, "its tokens would be refused", "name algorithms that fit the key")


def _first_misfit(material: Material, algorithms: Sequence[str]) -> str | None:
    """One algorithm that this key must not be used with is enough to be told."""
    return next((words for algorithm in algorithms if (words := misfit(material, algorithm))), None)


def _of_grants(key: str, permissions: Sequence[str]) -> Iterator[Problem]:
    for permission in permissions:
        if not is_permission(permission):
            yield Problem(
                key,
                f"{permission!r} is no permission",
                "it would grant nothing",
                "write `resource:action`, `resource:*` or `*`",
            )


def _of_address(url: str) -> Iterator[Problem]:
    parts = _on_the_web(url)
    if parts is None:
        yield Problem(
            "jwks_url",
            "this is no address of the web",
            "the issuer's keys are fetched there",
            "write https://…, as the issuer's documentation says",
        )
    elif parts.username is not None:
        yield Problem(
            "jwks_url",
            "there is a password in the address",
            "addresses are shown and logged, and published keys are for everybody",
            "write it without",
        )
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield Problem(
            "jwks_url",
            f"http to {parts.hostname}, which is another machine",
            "whoever is on the way could put keys of their own into the answer",
            "write https://",
        )


def _on_the_web(url: str) -> SplitResult | None:
    """Take apart what a client could fetch; to read a host or a port that is none raises `ValueError`."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return None
    possible = host and parts.scheme in {"http", "https"} and url.isprintable() and " " not in url
    return parts if possible else None


def _of_one_name(settings: JwtSettings) -> Iterator[Problem]:
    """One issuer may stand twice while its key is changed, but not with both kinds of algorithms."""
    kinds: dict[str | None, bool] = {}
    for key, issuer in settings.tables.items():
        shared = any(is_shared(each) for each in issuer.algorithms)
        if kinds.setdefault(issuer.issuer, shared) != shared:
            whose = f"the issuer {issuer.issuer!r}" if issuer.issuer else "an issuer of any name"
            yield Problem(
                f"{key}.algorithms",
                f"{whose} stands twice, with a shared secret and with a public key",
                "which kind of token is believed would be for the sender to choose",
                "keep one kind, or give each an `issuer` of its own",
            )


def _of_refreshing(settings: JwtSettings) -> Iterator[Problem]:
    if settings.jwks_stale_seconds < settings.jwks_refresh_seconds:
        yield Problem(
            "jwks_stale_seconds",
            f"{settings.jwks_stale_seconds:g} is less than jwks_refresh_seconds = {settings.jwks_refresh_seconds:g}",
            "keys would be given up between two fetches, and everybody refused",
            "make it several times as long",
        )
