"""One issuer: whether a token is really of it, and whom it then vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agentops.accounts.standing import SESSION
from agentops.core.identity import Identity
from agentops.core.permissions import is_permission
from agentops.plugins.auth.jwt._claims import lifetime, name, require_audience, subject, words
from agentops.plugins.auth.jwt._unfit import Unfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.plugins.auth.jwt._claims import Lifetime
    from agentops.plugins.auth.jwt._encoding import JsonObject, Token
    from agentops.plugins.auth.jwt._keys import Key
    from agentops.plugins.auth.jwt.settings import IssuerSettings


class Keys(Protocol):
    """Where an issuer's keys come from."""

    @property
    def generation(self) -> int:
        """Another number than before: other keys than before."""
        ...

    def usable(self) -> bool:
        """Whether anything may be judged by them now."""
        ...

    def fitting(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """Return those that may have made a signature."""
        ...

    async def look_again(self) -> bool:
        """Do what can be done about a key that is not there; say whether it is worth looking again."""
        ...


class NoKey(Unfit):
    """No key that is known now could have signed the token."""

    def __init__(self, keys: Keys) -> None:
        super().__init__("no key for it is known")
        self.keys = keys


@dataclass(frozen=True, slots=True, repr=False)
class Vouched:
    """Who somebody is, for as long as the token holds and the keys it was judged by are in use."""

    identity: Identity
    lifetime: Lifetime
    keys: Keys
    generation: int

    def holds(self, now: float) -> bool:
        starts, ends = self.lifetime
        return starts <= now < ends and self.generation == self.keys.generation and self.keys.usable()


class Issuer:
    """Looks at everything that costs nothing first, then at the signature, and only then at who it is."""

    def __init__(self, settings: IssuerSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self._algorithms = frozenset[str](settings.algorithms)
        self._types = frozenset(each.lower() for each in settings.types)
        self._audience = frozenset(settings.audiences)
        self._roles = {role: frozenset(granted) for role, granted in settings.roles.items()}
        self._default = frozenset(settings.default_permissions)

    def verdict(self, token: Token, now: float) -> Vouched | Unfit:
        """Return for whom the token vouches, or what is wrong with it."""
        try:
            return self._judged(token, now)
        except Unfit as unfit:
            return unfit.without_frames()

    def _judged(self, token: Token, now: float) -> Vouched:
        algorithm, kid = self._header(token.header)
        held = lifetime(token.claims, self._settings.leeway_seconds, now)
        require_audience(token.claims, self._audience)
        generation = self._keys.generation
        if not self._key(algorithm, kid).made(token.signature, token.signed, algorithm):
            raise Unfit("its signature is wrong")
        return Vouched(self._identity(token.claims, held.ends), held, self._keys, generation)

    def _header(self, header: JsonObject) -> tuple[str, str | None]:
        """Return the algorithm, which is one of this issuer's, and the name of the key."""
        if "crit" in header or "b64" in header:
            raise Unfit("it asks for an extension")
        if "typ" in header and not (isinstance(header["typ"], str) and header["typ"].lower() in self._types):
            raise Unfit("it is of another type")
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise Unfit("its algorithm is none of this issuer's")
        if "kid" in header and not isinstance(kid, str):
            raise Unfit("its key has no name")
        return algorithm, kid

    def _key(self, algorithm: str, kid: str | None) -> Key:
        """Find the one key; where several fit, which of them was meant is not said."""
        fitting = self._keys.fitting(algorithm, kid) if self._keys.usable() else ()
        if not fitting:
            raise NoKey(self._keys)
        if len(fitting) > 1:
            raise Unfit("several keys fit")
        return fitting[0]

    def _identity(self, claims: JsonObject, ends: float) -> Identity:
        names = self._settings.claims
        role = name(claims, names.role)
        return Identity(
            subject(claims, names.subject),
            name(claims, names.project) or self._settings.project,
            self._granted(words(claims, names.permissions), role),
            _credential(name(claims, "sid"), name(claims, "jti")),
            role,
            ends,
        )

    def _granted(self, said: list[str] | None, role: str | None) -> frozenset[str]:
        """What the token says itself; else what its role is worth; else what every token is."""
        if said is not None:
            return frozenset(filter(is_permission, said))
        return self._default if role is None else self._roles.get(role, self._default)


def _credential(session: str | None, token: str | None) -> str | None:
    """Name the session, which all its tokens share, rather than one token."""
    if session is not None:
        return f"{SESSION}{session}"
    return None if token is None else f"jwt:{token}"
