"""What stands before Gradio's server and turns away what no page of ours asks for."""

import json
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stochconv_jax.demonstration.rate_limit import RateLimit

# Of a request's fields, in bytes; uploads are limited apart from them, by Gradio.
LONGEST_FIELDS = 100_000
REMOTE = ("http:", "https:")


class Guard:
    """Limits how often a client asks, and keeps the server from fetching what others host.

    Gradio would download an image that is named by an address, of any length, and hand on files of
    other hosts.
    """

    def __init__(self, app: ASGIApp, rate: RateLimit):
        self.app, self.rate = app, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request on or answers with a sentence."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = self._refuse(scope)
        if not refusal and scope["method"] == "POST" and not scope["path"].endswith("/upload"):
            body = await _read(receive)
            receive = _replay(body, receive)
            refusal = _refuse_body(body)
        if refusal:
            return await refusal(scope, receive, send)
        return await self.app(scope, receive, send)

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        if any(f"={scheme}" in scope["path"].lower() for scheme in REMOTE):
            return _refusal(403, "files of other hosts are not handed on")
        client = (scope.get("client") or ("",))[0]
        if scope["method"] == "POST" and not self.rate.allows(client):
            often = f"more than {self.rate.count} requests in {self.rate.seconds:g} seconds"
            return _refusal(429, f"{often}; wait a minute and go on")
        return None


async def _read(receive: Receive) -> bytes:
    """Reads a body as far as it may be long, and a little more."""
    body, more = b"", True
    while more and len(body) <= LONGEST_FIELDS:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _refuse_body(body: bytes) -> JSONResponse | None:
    if len(body) > LONGEST_FIELDS:
        return _refusal(413, "the request is too long; upload images to /gradio_api/upload")
    try:
        json.loads(body or b"null", object_hook=_refuse_remote_files)
    except _RemoteFileError:
        return _refusal(400, "an image is named by an address; upload it")
    except (ValueError, RecursionError):
        return _refusal(400, "the request is no JSON")
    return None


def _refusal(status: int, sentence: str) -> JSONResponse:
    """An answer as Gradio's own client understands it."""
    return JSONResponse({"error": sentence}, status)


class _RemoteFileError(Exception):
    pass


def _refuse_remote_files(fields: dict[str, Any]) -> None:
    if str(fields.get("path", "")).lower().startswith(REMOTE):
        raise _RemoteFileError


def _replay(body: bytes, receive: Receive) -> Receive:
    """Returns what gives the body that was read, once, and then waits for the client to leave."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
