"""Stands in for the gateway: signs a session as it does."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time


def signed(key: str, sub: str, *groups: str, seconds: float = 3600) -> str:
    claims = {"sid": "s-1", "sub": sub, "groups": groups, "exp": time.time() + seconds}
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{text}.{hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()}"


if __name__ == "__main__":
    sub, *groups = sys.argv[1:] or ["ada@acme.example"]
    print(signed(os.environ["ACME_SSO_KEY"], sub, *groups))
