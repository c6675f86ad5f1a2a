"""People whom Acme's gateway has signed in: `x-acme-session: <claims>.<signature>`.

The claims are JSON in base64url; the signature is the HMAC-SHA256 of that text, in hex, under a key both sides know.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
from agentops import Authenticator, Caller, Identity, Problem, Rejected, Secret, Settings

SHORTEST_KEY = 32

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class AcmeSsoSettings(Settings):
    """`use = "acme-sso"`: the gateway says who is calling, and has signed what it says."""

    keys: list[Secret]
    """What the gateway signs with; name two while one replaces the other."""
    groups: dict[str, list[str]]
    """What the members of each group may do."""
    header: str = "x-acme-session"
    project: str = "default"


class Session(msgspec.Struct):
    """What the gateway says of somebody who is signed in."""

    sid: Name
    sub: Name
    groups: list[str]
    exp: float


class AcmeSso(Authenticator[AcmeSsoSettings]):
    """Believes a session that the gateway has signed and that has not ended."""

    def check(self) -> Iterator[Problem]:
        if not self.settings.keys:
            yield Problem(
                key="keys",
                what="there is no key",
                why="no session could be told from a forged one, and everybody would be refused",
                remedy='write the gateway\'s key, such as [{ env = "ACME_SSO_KEY" }]',
            )
        for index, key in enumerate(self.settings.keys):
            if len(key.reveal()) < SHORTEST_KEY:
                yield Problem(
                    key=f"keys[{index}]",
                    what=f"the key is shorter than {SHORTEST_KEY} characters",
                    why="whoever has one session could find it by trying, and sign any other",
                    remedy="make one with `openssl rand -hex 32`, for the gateway too",
                )
        for group, permissions in self.settings.groups.items():
            try:
                Identity("nobody", permissions=frozenset(permissions))
            except ValueError as error:
                yield Problem(
                    key=f"groups.{group}",
                    what=str(error),
                    why="its members could not be told what they may do",
                    remedy='name permissions, such as ["runs:read"]',
                )

    def credential(self) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": self.settings.header}

    async def authenticate(self, caller: Caller) -> Identity | None:
        sent = caller.header(self.settings.header)
        if sent is None:
            return None
        session = self._opened(sent)
        if session.exp <= time.time():
            raise Rejected
        granted = [right for group in session.groups for right in self.settings.groups.get(group, [])]
        return Identity(
            session.sub,
            project=self.settings.project,
            permissions=frozenset(granted),
            credential=f"acme-session:{session.sid}",
            expires_at=session.exp,
        )

    def _opened(self, sent: str) -> Session:
        claims, _, signature = sent.partition(".")
        if not any(_signature(claims, key).matches(signature) for key in self.settings.keys):
            raise Rejected
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=="), type=Session)
        except ValueError:
            raise Rejected from None


def _signature(claims: str, key: Secret) -> Secret:
    """A secret too, for whoever sees it can send it."""
    return Secret(hmac.new(key.reveal().encode(), claims.encode(), hashlib.sha256).hexdigest())
