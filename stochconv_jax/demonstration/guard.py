"""What stands before Gradio's server and turns away what no page of ours asks for."""

import urllib.parse

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stochconv_jax.demonstration.rate_limit import RateLimit
from stochconv_jax.demonstration.request_body import BodyError, read_fields, replay
from stochconv_jax.demonstration.sessions import Sessions
from stochconv_jax.demonstration.upload_stream import UploadStream

UPLOAD = "/gradio_api/upload"
# What the page and Gradio's clients post to, and what docs/demo.md names for programs. Gradio has
# more, and two of them, "run/..." and "call/...", take any name for a function that the body names.
ASKS = frozenset(
    f"/gradio_api/{route}"
    for route in ("queue/join", "cancel", "reset", "run/predict", "run/explain", "run/flag")
)
# It would write what a session shows to the disk.
DEEP_LINK = "/gradio_api/deep_link"
REMOTE = ("http:", "https:")


class Guard:
    """Lets pass what the page needs, from the page itself or a program, and not too often.

    Gradio would download an image that is named by an address, of any length, hand on files of
    other hosts, and take forms of a thousand files, which any page in a browser may send.
    """

    def __init__(self, app: ASGIApp, rate: RateLimit, sessions: Sessions, longest_file: int):
        """Stands before `app`.

        Args:
          app: that answers what passes.
          rate: how often each client may ask.
          sessions: is told who asks.
          longest_file: of an upload, in bytes.
        """
        self.app, self.rate, self.sessions = app, rate, sessions
        self.longest_file = longest_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request on or answers with a sentence."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = self._refuse(scope)
        if not refusal and scope["method"] == "POST":
            try:
                receive = await self._look_at_body(scope, receive)
            except BodyError as error:
                refusal = _refusal(error.status, error.sentence)
        return await (refusal or self.app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        path = scope["path"]
        if any(scheme in path.lower() for scheme in REMOTE) or path == DEEP_LINK:
            return _refusal(403, "nothing but the page's own files is handed on")
        if scope["method"] != "POST":
            return None
        if path != UPLOAD and path not in ASKS:
            return _refusal(404, f"there is no {path}; docs/demo.md says what can be asked")
        if _of_another_page(Headers(scope=scope)):
            return _refusal(403, "the request comes from another page; open this one")
        if not self.rate.allows(_client(scope)):
            often = f"more than {self.rate.count} requests in {self.rate.seconds:g} seconds"
            return _refusal(429, f"{often}; wait a minute and go on")
        return None

    async def _look_at_body(self, scope: Scope, receive: Receive) -> Receive:
        """Returns what gives the body once more, or goes on looking while an upload comes."""
        if scope["path"] == UPLOAD:
            content_type = Headers(scope=scope).get("content-type", "")
            return UploadStream(content_type, receive, self.longest_file)
        body, fields = await read_fields(receive, REMOTE)
        session = fields.get("session_hash") if isinstance(fields, dict) else None
        if isinstance(session, str):
            self.sessions.ask(session, _client(scope))
        return replay(body, receive)


def _client(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _of_another_page(headers: Headers) -> bool:
    """Tells by what browsers add to whatever a page posts; programs add nothing."""
    origin = headers.get("origin")
    if origin is None:
        return False
    return urllib.parse.urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _refusal(status: int, sentence: str) -> JSONResponse:
    """An answer as Gradio's own client understands it."""
    return JSONResponse({"error": sentence}, status)
