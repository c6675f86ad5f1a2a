"""Whose certificates are believed."""

from __future__ import annotations

import ssl
from functools import cache


@cache
def trusting_authorities(file: str = "") -> ssl.SSLContext:
    """Those that this machine trusts, or only those in a file of PEM.

    To read their list takes 30 ms, in which nothing else is served: ask in a thread where that matters.
    """
    return ssl.create_default_context(cafile=file or None)
