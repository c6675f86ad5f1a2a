"""Uvicorn's protocol, but for this: what comes behind a body is no header of the request, and what was not read goes.

Uvicorn appends the fields of a chunked body's trailer to the headers that the application is given. A proxy that takes
`x-user-id` out of the headers of strangers may let a trailer of that name pass, and a stranger would be whom they say.

It also keeps the body of a request that was answered unread, for as long as the connection rests: where very much is
refused at once so that memory is bounded, it would not be.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WithoutTrailers(HttpToolsProtocol):
    """Leaves the headers of a request as they were when its body began."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = list(self.headers)

    def on_response_complete(self) -> None:
        if self.cycle.response_complete:  # else this is one that came meanwhile
            self.cycle.body = bytearray()
        super().on_response_complete()
