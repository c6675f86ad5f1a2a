"""A collector on a port of its own: takes what is sent by OTLP over HTTP and reads it, or misbehaves as it is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES: Any = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Collector:
    """`answer` is what it sends; nothing keeps the connection open and silent."""

    def __init__(self) -> None:
        self.answer: bytes | None = OK
        self.port = 0
        self.heads: list[str] = []
        self.taken: list[tuple[str, Any]] = []
        self.asked = asyncio.Event()
        self.open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def text(self) -> str:
        return "".join(f"{path} {message}" for path, message in self.taken)

    def messages(self, path: str) -> list[Any]:
        return [message for each, message in self.taken if each == path]

    def spans(self) -> list[Any]:
        return [
            span
            for message in self.messages("/v1/traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Any]:
        """As the last message says."""
        (resource,) = self.messages("/v1/metrics")[-1].resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
            body = await reader.readexactly(int(fields["Content-Length"]))
            path = head.split(" ")[1]
            self.heads.append(head)
            self.asked.set()
            if self.answer is None:
                await reader.read()
                return
            if self.answer.startswith(b"HTTP/1.1 2"):
                self.taken.append((path, MESSAGES[path].FromString(body)))
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def collecting(port: int = 0) -> AsyncIterator[Collector]:
    collector = Collector()
    server = await asyncio.start_server(collector.serve, "127.0.0.1", port)
    collector.port = server.sockets[0].getsockname()[1]
    try:
        yield collector
    finally:
        server.close()


def values_of(attributes: Any) -> dict[str, Any]:
    """Attributes of protobuf as a dictionary."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
