"""CPython answering HTTP: `wasi:http/proxy` of WASI 0.2. `tests/guests/README.md` says what is at which path."""

import hashlib, json
from urllib.parse import parse_qsl, urlsplit

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import OutputStream, StreamError_Closed
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

CHUNK = 65536


def chunks(request: IncomingRequest):
    """The body, until it ends."""
    # A stream has to go before what it is of does.
    with request.consume() as body, body.stream() as stream:
        while True:
            try:
                yield stream.blocking_read(CHUNK)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return
                raise


def write(stream: OutputStream, data: bytes) -> None:
    """Writes as much at a time as the host takes."""
    while data:
        ready = stream.check_write()
        if ready == 0:
            stream.subscribe().block()
            continue
        stream.write(data[:ready])
        data = data[ready:]


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        url = urlsplit(request.path_with_query() or "/")
        method = type(request.method()).__name__.removeprefix("Method_").upper()
        given = {name: value.decode() for name, value in request.headers().entries()}
        if url.path == "/fail":
            raise RuntimeError("as asked")

        status, kind = 200, "application/json"
        if url.path == "/echo":
            kind, body = given.get("content-type", "application/octet-stream"), chunks(request)
        elif url.path == "/digest":
            digest, length = hashlib.sha256(), 0
            for chunk in chunks(request):
                digest.update(chunk)
                length += len(chunk)
            body = [json.dumps({"sha256": digest.hexdigest(), "length": length}).encode()]
        elif url.path == "/hello":
            asked = {"method": method, "query": dict(parse_qsl(url.query)), "agent": given.get("user-agent")}
            body = [json.dumps({"hello": "python", **asked}).encode()]
        else:
            status, kind, body = 404, "text/plain", [f"no {url.path}\n".encode()]

        response = OutgoingResponse(Fields.from_list([("content-type", kind.encode()), ("x-guest", b"python")]))
        response.set_status_code(status)
        outgoing = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with outgoing.write() as out:
            for chunk in body:
                write(out, chunk)
            out.blocking_flush()
        OutgoingBody.finish(outgoing, None)
