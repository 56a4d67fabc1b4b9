"""What the demo turns away: requests that no page of its own makes, too many, too long."""

import httpx
import pytest
from demo_client import Client, encoded
from demo_page import guessing_server
from support import noise_image

from stochconv_jax.demonstration.uploaded_image import UploadLimits

pytest.importorskip("gradio", reason="the demo extra is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(address, store, directory of uploads) of a page that takes 1 MB."""
    limits = UploadLimits(megabytes=1, megapixels=2)
    with guessing_server(tmp_path_factory.mktemp("limits"), limits) as started:
        yield started


@pytest.fixture
def client(server):
    return Client(server[0])


REMOTE = {"path": "https://192.0.2.1/a.png", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("verb", ["predict", "upload"])
@pytest.mark.parametrize("route", ["run", "call", "api", "call/v2"])
def test_a_function_is_asked_by_its_own_route_alone(client, route, verb):
    """Elsewhere Gradio takes the function from the body, which nobody had looked at."""
    for data in ([REMOTE, None, "moles"], [None, "benign", 200_000 * "x"]):
        body = {"data": data, "fn_index": 0, "session_hash": "one"}
        answer = client.post(f"{route}/{verb}", json=body)
        allowed = (route, verb) == ("run", "predict")
        assert answer.status_code in ((400, 413) if allowed else (404,)), answer.text
        assert "error" in answer.json()


def test_nothing_is_fetched_and_no_session_written(client):
    said = client.call("predict", REMOTE, None, "moles").json()["error"]
    assert said == "an image is named by an address; upload it"
    client.predict(encoded(noise_image(0)))
    for place in (
        "file=https://example.org/a.png",
        "file/https://example.org/a.png",
        "proxy=https://example.org/a.png",
        "deep_link?session_hash=one",
    ):
        assert client.get(place).status_code == 403, place


def test_an_upload_is_one_file(client, server):
    image = encoded(noise_image(1))
    two = client.post("upload", files=[("files", (f"{n}.png", image)) for n in range(2)])
    assert (two.status_code, "more than one file" in two.text) == (400, True)
    many = client.post("upload", files=[("files", (f"{n}.png", bytes(900_000))) for n in range(9)])
    assert many.status_code in (400, 413)
    too_long = client.upload(bytes(1_100_000))
    assert (too_long.status_code, "maximum allowed size" in too_long.text) == (413, True)
    field = client.post("upload", data={"x": 2_000_000 * "x"}, files={"files": ("a.png", image)})
    assert field.status_code in (400, 413)
    assert client.post("upload", json={}).status_code == 400
    assert client.predict(image).status_code == 200
    kept = [path.stat().st_size for path in server[2].rglob("*") if path.is_file()]
    assert max(kept) < 1_000_000


def test_other_pages_in_a_browser_are_turned_away(server):
    image = encoded(noise_image(2))
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        other = Client(server[0], Origin=origin)
        assert other.upload(image).status_code == 403, origin
        assert other.call("explain", None).status_code == 403, origin
    assert Client(server[0], Origin=server[0].rstrip("/")).upload(image).status_code == 200
