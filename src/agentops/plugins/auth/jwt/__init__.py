"""JSON Web Tokens in `Authorization: Bearer`, of any number of issuers."""

from __future__ import annotations

from agentops.plugins.auth.jwt.authenticator import Jwt
from agentops.plugins.auth.jwt.settings import ClaimNames, IssuerSettings, JwtSettings

__all__ = ["ClaimNames", "IssuerSettings", "Jwt", "JwtSettings"]
