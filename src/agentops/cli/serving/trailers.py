"""Uvicorn's protocol, but for this: what comes behind a body is no header of the request.

Uvicorn appends the fields of a chunked body's trailer to the headers that the application is given. A proxy that takes
`x-user-id` out of the headers of strangers may let a trailer of that name pass, and a stranger would be whom they say.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WithoutTrailers(HttpToolsProtocol):
    """Leaves the headers of a request as they were when its body began."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = list(self.headers)
