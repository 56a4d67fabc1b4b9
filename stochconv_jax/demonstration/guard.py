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
        status, problem = 0, ""
        if any(f"={scheme}" in scope["path"].lower() for scheme in REMOTE):
            status, problem = 403, "files of other hosts are not handed on"
        elif scope["method"] == "POST":
            client = (scope.get("client") or ("",))[0]
            if not self.rate.allows(client):
                status, problem = (
                    429,
                    (
                        f"more than {self.rate.count} requests in {self.rate.seconds:g} seconds; wait "
                        "a minute and go on"
                    ),
                )
            elif not scope["path"].rstrip("/").endswith("/upload"):
                body = await _read(receive)
                status, problem = _judge(body)
                receive = _replay(body, receive)
        if problem:
            return await JSONResponse({"error": problem}, status)(scope, receive, send)
        return await self.app(scope, receive, send)


async def _read(receive: Receive) -> bytes:
    """Reads a body as far as it may be long, and a little more."""
    body, more = b"", True
    while more and len(body) <= LONGEST_FIELDS:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _judge(body: bytes) -> tuple[int, str]:
    """Returns a status and a sentence, (0, "") for what may pass."""
    if len(body) > LONGEST_FIELDS:
        return 413, "the request is too long; upload images to /gradio_api/upload"
    try:
        json.loads(body or b"null", object_hook=_refuse_remote_files)
    except _RemoteFileError:
        return 400, "an image is named by an address; upload it"
    except (ValueError, RecursionError):
        return 400, "the request is no JSON"
    return 0, ""


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
