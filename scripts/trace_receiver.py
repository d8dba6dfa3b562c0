"""A receiver of traces over OTLP/HTTP, in the place of a collector."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demo_stage import wait_for
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATH = "/v1/traces"
MEDIA_TYPE = "application/x-protobuf"


@dataclass(slots=True)
class TraceReceiver:
    """What has arrived at `endpoint`."""

    endpoint: str
    spans: list[Span] = field(default_factory=list[Span])

    def find_trace(self, trace_id: str, *, spans: int = 1) -> Sequence[Span]:
        """Return the spans of a trace in the order of time, once so many have arrived."""

        def look() -> Sequence[Span] | None:
            found = [span for span in tuple(self.spans) if span.trace_id.hex() == trace_id]
            return found if len(found) >= spans else None

        found = wait_for(look) or ()
        return sorted(found, key=lambda span: span.start_time_unix_nano)


@contextmanager
def receiving_traces() -> Generator[TraceReceiver]:
    """Open a receiver on a free port of this machine, and close it afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = self.path == PATH and self.headers["Content-Type"] == MEDIA_TYPE
            if is_known:
                request = ExportTraceServiceRequest.FromString(body)
                receiver.spans.extend(
                    span
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                )
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", MEDIA_TYPE)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = TraceReceiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
