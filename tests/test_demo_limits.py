"""What the demo turns away: requests that no page of its own makes, too many, too long."""

import httpx
import pytest
from demo_client import Client, encoded, error_of
from demo_page import guessing_server
from support import noise_image

from stochconv_jax.demonstration.port import check_port
from stochconv_jax.demonstration.rate_limit import RateLimit
from stochconv_jax.demonstration.turns import Turns
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.errors import InputError

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


def test_no_file_is_read_but_uploads(client, tmp_path, capsys):
    secret = tmp_path / "secret.png"
    noise_image(4).save(secret)
    for meta, reason in (
        ({}, "The 'meta' field must be explicitly provided"),
        ({"meta": {"_type": "gradio.FileData"}}, "was not uploaded by a user"),
    ):
        error_of(client.call("predict", {"path": str(secret)} | meta, None, "moles"))
        assert reason in capsys.readouterr().err
    assert client.get(f"file={secret}").status_code == 403


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


def test_only_names_that_were_given_are_answered(tmp_path, server):
    """A name of somebody else's may point here, and their page would then be of one origin."""
    for host, allowed in (("localhost:7860", True), ("[::1]:1", True), ("evil.example:1", False)):
        status = httpx.get(f"{server[0]}config", headers={"Host": host}).status_code
        assert status == (200 if allowed else 400), host
    named = {"Host": "demo.example.org", "Origin": "https://demo.example.org"}
    image = encoded(noise_image(3))
    assert Client(server[0], **named).upload(image).status_code == 400
    with guessing_server(tmp_path, names=["demo.example.org"]) as (address, *_):
        assert Client(address, **named).upload(image).status_code == 200


def test_who_asks_too_often_is_told_to_wait():
    now = [0.0]
    rate = RateLimit(2, seconds=60, clock=lambda: now[0])
    assert [rate.allows(client) for client in "aabaa"] == [True, True, True, False, False]
    now[0] = 61
    assert rate.allows("a")
    assert list(rate._times) == ["a"], "clients that left are remembered"


def test_a_server_refuses_who_asks_too_often(tmp_path):
    with guessing_server(tmp_path, rate=2) as (address, *_):
        client = Client(address)
        assert [client.call("explain", None).status_code for _ in range(3)] == [500, 500, 429]
        assert "more than 2 requests in 60 seconds; wait" in client.upload(b"x").json()["error"]
        other = Client(address, **{"X-Forwarded-For": "192.0.2.1"})
        assert other.call("explain", None).status_code == 500, "a proxy's clients are told apart"
        port = httpx.URL(address).port
        with pytest.raises(InputError, match=f"port {port}: it is taken"):
            check_port("127.0.0.1", port)


def test_a_crowd_is_asked_to_come_back():
    turns = Turns(most_waiting=0)
    with turns(), pytest.raises(InputError, match="wait a minute"), turns():
        pass
    with turns():
        pass
