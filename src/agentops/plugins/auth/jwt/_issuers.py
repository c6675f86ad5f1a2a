"""All issuers there are: which of them a token can be of, and what these say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.errors import StartError
from agentops.plugins.auth.jwt._encoding import taken_apart
from agentops.plugins.auth.jwt._issuer import Issuer, NoKey, Vouched
from agentops.plugins.auth.jwt._keys import FixedKey, Key, from_pem
from agentops.plugins.auth.jwt._published_keys import PublishedKeys
from agentops.plugins.auth.jwt._unfit import NotOurs, Unfit

if TYPE_CHECKING:
    from agentops.plugins.auth.jwt._clock import Clock
    from agentops.plugins.auth.jwt._encoding import Token
    from agentops.plugins.auth.jwt._issuer import Keys
    from agentops.plugins.auth.jwt._keys import Material
    from agentops.plugins.auth.jwt.settings import IssuerSettings, JwtSettings


class Issuers:
    """Those without a name could have issued what nobody else did."""

    def __init__(self, settings: JwtSettings, clock: Clock) -> None:
        self._max_bytes = settings.max_bytes
        self.published: list[PublishedKeys] = []
        """The keys that have to be fetched."""
        self._by_name: dict[str | None, list[Issuer]] = {}
        """Several have one name where a key is being replaced."""
        for key, table in settings.tables.items():
            keys: Keys
            if table.jwks_url is None:
                keys = _fixed_key(table)
            else:
                keys = PublishedKeys(table.jwks_url, table.issuer or key, settings, clock)
                self.published.append(keys)
            self._by_name.setdefault(table.issuer, []).append(Issuer(table, keys))

    def verdict(self, token: str, now: float) -> Vouched | Unfit:
        """Return for whom the token vouches, or what is wrong with it."""
        if len(token) > self._max_bytes:
            return Unfit("it is too long")
        try:
            parts = taken_apart(token)
            issuers = self._of(parts)
        except Unfit as unfit:
            return unfit.without_frames()
        return min((issuer.verdict(parts, now) for issuer in issuers), key=_rank)

    def _of(self, token: Token) -> list[Issuer]:
        """Those who could have issued it."""
        name = token.claims.get("iss")
        if "iss" in token.claims and not isinstance(name, str):
            raise Unfit("its issuer is no text")
        found = self._by_name.get(name) or self._by_name.get(None)
        if not found:
            raise NotOurs("its issuer is not known")
        return found


def _fixed_key(issuer: IssuerSettings) -> FixedKey:
    material = _material(issuer)
    if material is None:
        raise StartError("a token's issuer has no key that can be used: `check()` says what is wrong")
    return FixedKey(Key(material))


def _material(issuer: IssuerSettings) -> Material | None:
    if issuer.secret is not None:
        return issuer.secret.reveal().encode()
    return None if issuer.public_key is None else from_pem(issuer.public_key.reveal())


def _rank(verdict: Vouched | Unfit) -> int:
    """Of several issuers with one name, one that knows the token counts, then one that may know its key soon."""
    return 0 if isinstance(verdict, Vouched) else 1 if isinstance(verdict, NoKey) else 2
