"""An upload as it comes: one file, and no longer than files may be."""

from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.formparsers import MultiPartException
from starlette.types import Message, Receive

from stochconv_jax.demonstration.request_body import BodyError

# Of a form beside its file, bytes.
SLACK = 10_000


class UploadStream:
    """Hands on a form piece by piece, and stops where a second file begins or one is too long.

    Gradio limits each of a form's files, but not how many there are.
    """

    def __init__(self, content_type: str, receive: Receive, longest_file: int):
        """Prepares a stream.

        Args:
          content_type: of the request.
          receive: gives the pieces.
          longest_file: in bytes.

        Raises:
          BodyError: it is no form with files.
        """
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise BodyError(400, "an upload is a form with the field `files`")
        self.receive, self.longest_file = receive, longest_file
        self._parser = MultipartParser(options[b"boundary"], {"on_part_begin": self._count})
        self._files = self._length = 0

    async def __call__(self) -> Message:
        """Returns the next piece.

        Raises:
          MultiPartException: there is too much, which Gradio tells, and deletes what came so far.
        """
        message = await self.receive()
        piece = message.get("body", b"")
        self._length += len(piece)
        if self._length > self.longest_file + SLACK:
            allowed = f"maximum allowed size of {self.longest_file} bytes"
            raise MultiPartException(f"The upload is longer than the {allowed}.")
        self._parser.write(piece)
        if self._files > 1:
            raise MultiPartException("There is more than one file; upload one at a time.")
        return message

    def _count(self) -> None:
        self._files += 1
