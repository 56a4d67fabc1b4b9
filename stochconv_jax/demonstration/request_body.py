"""A request's fields, read and judged before Gradio reads them."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.types import Message, Receive

# Of a request's fields, in bytes; uploads are limited apart from them.
LONGEST_FIELDS = 100_000


class BodyError(Exception):
    """A body that is not handed on, with the status and the sentence that answer it."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


async def read_fields(receive: Receive, remote: Sequence[str]) -> tuple[bytes, Any]:
    """Returns a body as it came, and what is in it.

    Args:
      receive: gives the body.
      remote: what addresses begin with that no file's path may have.

    Raises:
      BodyError: it is too long, no JSON, or names a file by an address.
    """
    body, more = b"", True
    while more and len(body) <= LONGEST_FIELDS:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > LONGEST_FIELDS:
        raise BodyError(413, "the request is too long; upload images to /gradio_api/upload")

    def look(fields: dict[str, Any]) -> dict[str, Any]:
        if str(fields.get("path", "")).lower().startswith(tuple(remote)):
            raise BodyError(400, "an image is named by an address; upload it")
        return fields

    try:
        return body, json.loads(body or b"null", object_hook=look)
    except (ValueError, RecursionError) as error:
        raise BodyError(400, "the request is no JSON") from error


def replay(body: bytes, receive: Receive) -> Receive:
    """Returns what gives the body that was read, once, and then waits for the client to leave."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
