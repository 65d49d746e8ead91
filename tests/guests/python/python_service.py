"""CPython answering HTTP: `wasi:http/service` of WASI 0.3, whose bodies are streams. `tests/guests/README.md` says what is at which path."""

import hashlib, json
from urllib.parse import parse_qsl, urlsplit

import componentize_py_async_support
import wit_world
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.wasi_http_types import Fields, Request, Response

CHUNK = 65536

done = wit_world.result_unit_wasi_http_types_error_code_future
trailers = wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future


async def chunks(request: Request):
    """The body, until it ends."""
    stream, _ = Request.consume_body(request, done(lambda: Ok(None))[1])
    with stream:
        while not stream.writer_dropped:
            yield await stream.read(CHUNK)


async def one(chunk):
    yield chunk


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        url = urlsplit(request.get_path_with_query() or "/")
        method = type(request.get_method()).__name__.removeprefix("Method_").upper()
        given = {name: value.decode() for name, value in request.get_headers().copy_all()}
        if url.path == "/fail":
            raise RuntimeError("as asked")

        status, kind = 200, "application/json"
        if url.path == "/echo":
            kind, body = given.get("content-type", "application/octet-stream"), chunks(request)
        elif url.path == "/digest":
            digest, length = hashlib.sha256(), 0
            async for chunk in chunks(request):
                digest.update(chunk)
                length += len(chunk)
            body = one(json.dumps({"sha256": digest.hexdigest(), "length": length}).encode())
        elif url.path == "/hello":
            asked = {"method": method, "query": dict(parse_qsl(url.query)), "agent": given.get("user-agent")}
            body = one(json.dumps({"hello": "python", **asked}).encode())
        else:
            status, kind, body = 404, "text/plain", one(f"no {url.path}\n".encode())

        writer, reader = wit_world.byte_stream()
        fields = Fields.from_list([("content-type", kind.encode()), ("x-guest", b"python")])
        response = Response.new(fields, reader, trailers(lambda: Ok(None))[1])[0]
        response.set_status_code(status)

        async def send() -> None:
            with writer:
                async for chunk in body:
                    await writer.write_all(chunk)

        # It goes on after the response is on its way.
        componentize_py_async_support.spawn(send())
        return response
