"""Somebody who asks a demo: images as files, a client in a session, a browser."""

import io
import os
import pathlib
import shutil
import socket
import ssl
import struct
import zlib

import httpx

# Nothing here is encrypted, and without it each request reads the certificates of all authorities.
TLS = ssl.create_default_context()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def encoded(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def png_header(width, height):
    """Returns a PNG that says it has so many pixels and holds none of them."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + fields + struct.pack(">I", zlib.crc32(fields))
    nothing = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + chunk + nothing


class Client:
    """Somebody with a session of their own."""

    def __init__(self, address, session="one", **headers):
        self.address, self.session, self.headers = f"{address}gradio_api/", session, headers

    def get(self, place):
        return httpx.get(f"{self.address}{place}", timeout=120, verify=TLS)

    def post(self, place, **content):
        url = f"{self.address}{place}"
        return httpx.post(url, headers=self.headers, timeout=120, verify=TLS, **content)

    def upload(self, content, name="mole.png"):
        return self.post("upload", files={"files": (name, content)})

    def call(self, verb, *data):
        return self.post(f"run/{verb}", json={"data": data, "session_hash": self.session})

    def predict(self, content, name="mole.png", network=None):
        (path,) = self.upload(content, name).json()
        file = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        return self.call("predict", file, None, network or "moles")


def error_of(response):
    assert response.status_code == 500, response.text
    return response.json()["error"]


def find_chromium(playwright):
    """Returns the path of a Chromium: $CHROMIUM, that of the system, or playwright's; or ""."""
    own = playwright.chromium.executable_path
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(os.environ.get("CHROMIUM", name)) for name in names)
    return next(filter(None, found), own if pathlib.Path(own).is_file() else "")
