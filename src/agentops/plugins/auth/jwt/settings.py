"""What a configuration may say about tokens, and about those who issue them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from agentops.core.config.settings import Positive, Seconds
from agentops.core.identity import DEFAULT_PROJECT
from agentops.core.plugin import Settings
from agentops.core.secret import Secret

Algorithm = Literal[
    "HS256", "HS384", "HS512",
    "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512",
    "EdDSA",
]  # fmt: skip

Named = Annotated[str, Meta(min_length=1)]


class ClaimNames(Settings):
    """`claims`: where in a token stands what this server wants to know."""

    subject: Annotated[list[Named], Meta(min_length=1)] = field(default_factory=lambda: ["user_id", "sub"])
    """The first of these that the token has is who is calling: text, or a whole number."""
    role: Named = "role"
    permissions: Named = "permissions"
    """A list of texts, or one text with blanks between them, such as `scope`."""
    project: Named = "project"


class IssuerSettings(Settings):
    """One issuer: what its tokens must say, the key they are signed with, and what they are worth here."""

    issuer: Named | None = None
    """The `iss` of its tokens, letter for letter; without it, `iss` is not looked at."""
    audience: Named | list[Named] = []
    """`aud` must hold one of these; where there is none here, a token that was made for somebody is refused."""
    algorithms: list[Algorithm] = field(default_factory=lambda: ["HS256"])
    """The only ones that are believed; those with a shared secret (`HS…`) stand with no others."""
    secret: Secret | None = None
    """A shared secret, for `HS…`: at least as long as the hash, which is 32 bytes for `HS256`."""
    public_key: Secret | None = None
    """A public key in PEM, best as `{ file = "…" }`."""
    jwks_url: str | None = None
    """Where the issuer publishes its keys: https, or http on this machine."""
    types: list[Named] = field(default_factory=lambda: ["JWT", "at+jwt"])
    """What the header's `typ` may say, in any case; a token without one is taken as well."""
    leeway_seconds: Annotated[float, Meta(ge=0, le=60)] = 0
    """How far the issuer's clock and ours may differ."""
    claims: ClaimNames = field(default_factory=ClaimNames)
    default_permissions: list[str] = []
    """What a token grants that names neither permissions nor a role in `roles`."""
    roles: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What a token grants that names this role and no permissions."""
    project: Named = DEFAULT_PROJECT
    """Of whoever shows a token that names no project."""

    @property
    def audiences(self) -> list[str]:
        return [self.audience] if isinstance(self.audience, str) else self.audience


class JwtSettings(IssuerSettings):
    """`use = "jwt"`: one issuer in this table itself, or several in `issuers`, each with the keys from `issuer` on."""

    issuers: list[IssuerSettings] = []
    """Several issuers; then none of their settings stand beside this list."""
    accounts: bool = False
    """Set to true for the tokens that the feature `users` gives out: the user and the session they name are read on
    every request, so that signing out, disabling somebody and another role count from the next one on. Rights are
    then those of the token, as far as the user's role has them."""
    max_bytes: Annotated[int, Meta(ge=256, le=65_536)] = 8192
    """A longer token is refused unread."""
    cache_tokens: Positive = 10_000
    """How many good tokens are remembered, so that their signatures are not computed again."""
    jwks_refresh_seconds: Seconds = 300
    """How often published keys are fetched: a key that was withdrawn works for so long at most."""
    jwks_stale_seconds: Seconds = 3600
    """How long keys are used that cannot be fetched again; then the answer is 503."""
    jwks_cooldown_seconds: Seconds = 30
    """A token with an unknown key causes a fetch, but not more often than this."""
    jwks_wait_seconds: Seconds = 2
    """How long the start, and a request with an unknown key, wait for a fetch."""

    @property
    def tables(self) -> dict[str, IssuerSettings]:
        """The issuers, by the key of their table; the empty one is this table itself."""
        return {f"issuers[{number}]": table for number, table in enumerate(self.issuers)} or {"": self}
