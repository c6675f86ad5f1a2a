"""A caller's name in a header, set by a proxy that has asked who it is; believed from that proxy and no other peer."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Final

from agentops.core.addresses import is_within, plain_network
from agentops.core.auth_settings import HeaderName, NotEmpty, check_secret
from agentops.core.errors import Rejected
from agentops.core.identity import DEFAULT_PROJECT, Identity
from agentops.core.plugin import Settings
from agentops.core.ports.auth import Authenticator
from agentops.core.problem import Problem
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentops.core.addresses import Network
    from agentops.core.ports.auth import Caller

LONGEST_NAME: Final = 200

_WIDEST: Final = {4: 8, 6: 7}
"""The widest networks that are private, 10.0.0.0/8 and fc00::/7: nobody's proxies need more."""


class TrustedHeaderSettings(Settings, kw_only=True):
    """`use = "trusted-header"`: a proxy has signed people in, and says in a header who is calling."""

    proxies: list[str] = []
    """Addresses and networks that are believed: `10.0.0.5`, `10.1.0.0/16`. The peer's own address is looked at, never
    a header such as `X-Forwarded-For`."""
    unix: bool = False
    """Set to true to believe a peer without an address as well, as on a unix socket."""
    header: HeaderName = "x-user-id"
    permissions: list[str]
    """What everybody that the proxy names may do."""
    project: NotEmpty = DEFAULT_PROJECT
    role_header: HeaderName | None = None
    """The header in which the proxy says the caller's role; a caller for whom it sends none has no role."""
    project_header: HeaderName | None = None
    """The header in which the proxy says the caller's project; without it in a request, `project` counts."""
    secret_header: HeaderName | None = None
    """The header in which the proxy proves itself with `secret`; else whatever runs at its address is believed."""
    secret: Secret | None = None


class TrustedHeader(Authenticator[TrustedHeaderSettings]):
    """A header that names somebody is a claim; from anybody but the proxy it is refused, not passed over."""

    def __init__(self, settings: TrustedHeaderSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        given = self.settings
        self._permissions = frozenset(given.permissions)
        self._networks = [network for network in map(_network, given.proxies) if network is not None]

    def check(self) -> Iterator[Problem]:
        given = self.settings
        if not given.proxies and not given.unix:
            yield Problem(
                "proxies",
                "no proxy is named",
                "nobody's header would be believed, and every request that carries one would be refused",
                'write the address of your proxy, such as ["10.0.0.5"]',
            )
        for index, text in enumerate(given.proxies):
            yield from _check_network(f"proxies[{index}]", text)
        yield from self._check_secret()
        yield from self._check_headers()

    def credential(self) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": self.settings.header, "description": "Set by the proxy."}

    async def authenticate(self, caller: Caller) -> Identity | None:
        given = self.settings
        subject = _sent(caller, given.header)
        if subject is None:
            return None
        if not self._is_proxy(caller.peer) or not self._proves_itself(caller):
            raise Rejected
        role, project = _named(caller, given.role_header), _named(caller, given.project_header)
        return Identity(_checked(subject), project or given.project, self._permissions, role=role)

    def _is_proxy(self, peer: str | None) -> bool:
        return is_within(peer, self._networks) if peer else self.settings.unix

    def _proves_itself(self, caller: Caller) -> bool:
        header, secret = self.settings.secret_header, self.settings.secret
        if header is None or secret is None:
            return header is None and secret is None
        return secret.matches(caller.header(header) or "")

    def _check_secret(self) -> Iterator[Problem]:
        header, secret = self.settings.secret_header, self.settings.secret
        if secret is not None:
            yield from check_secret("secret", secret)
        if header is None and secret is not None:
            yield Problem(
                "secret_header",
                "missing, though there is a `secret`",
                "nothing says in which header the proxy sends it",
                'write secret_header = "x-proxy-secret"',
            )
        if secret is None and header is not None:
            yield Problem(
                "secret",
                "missing, though there is a `secret_header`",
                "every request would be refused, for no value of that header is the right one",
                'write secret = { env = "…" }, or remove `secret_header`',
            )

    def _check_headers(self) -> Iterator[Problem]:
        given = self.settings
        named = [given.header, given.role_header, given.project_header, given.secret_header]
        for name, times in Counter(header.lower() for header in named if header is not None).items():
            if times > 1:
                yield Problem(
                    "header",
                    f"{name!r} is the name of {times} headers here",
                    "one value would stand for different things",
                    "give each a name of its own",
                )


def _network(text: str) -> Network | None:
    """`None` for what is no address and no network; `check` says so."""
    try:
        return plain_network(text)
    except ValueError:
        return None


def _check_network(key: str, text: str) -> Iterator[Problem]:
    network = _network(text)
    if network is None:
        yield Problem(
            key,
            f"{text!r} is not an address or a network",
            "the peer's address is compared with it; a host's name could come to mean another machine",
            _meant(text) or "write it as 10.0.0.5, 10.1.0.0/16 or fd00::/64",
        )
    elif network.prefixlen < _WIDEST[network.version]:
        yield Problem(
            key,
            f"{text} is so wide that it holds strangers",
            "whoever reaches the server from there can say to be anybody",
            "name only the addresses of your proxies",
        )


def _meant(text: str) -> str:
    """Which of the two, when an address inside a network is followed by that network's length."""
    try:
        interface = ip_interface(text)
    except ValueError:
        return ""
    return f"write {str(interface.network)!r} for the network, or {str(interface.ip)!r} for the one address"


def _sent(caller: Caller, header: str) -> bytes | None:
    """The header's one value, as it was sent: what `Caller.header` strips may be a part of a letter in UTF-8."""
    if caller.header(header) is None:
        return None
    wanted = header.lower().encode()
    return next(value for name, value in caller.headers if name == wanted).strip(b" \t")


def _named(caller: Caller, header: str | None) -> str | None:
    value = None if header is None else _sent(caller, header)
    return None if value is None else _checked(value)


def _checked(value: bytes) -> str:
    """Text that a person could read; an unreadable name could look like another's in a log."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Rejected from None
    if not text.isprintable() or not 1 <= len(text) <= LONGEST_NAME:
        raise Rejected
    return text
