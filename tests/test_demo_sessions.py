"""What the demo's memory holds of people, and for how long."""

import time

import pytest
from demo_client import Client, encoded, error_of, free_port
from demo_page import guessing_page, guessing_server
from support import noise_image

from stochconv_jax.demonstration.sessions import Sessions
from stochconv_jax.demonstration.upload_directory import upload_directory

pytest.importorskip("gradio", reason="the demo extra is not installed")
# Gradio 6.31 counts what its queue did in ways that pandas 3 gives up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_session_is_forgotten_by_age_by_its_client_and_by_number():
    now = [0.0]
    sessions = Sessions(seconds=10, most=3, most_of_client=2, clock=lambda: now[0])
    for session, client in (("a1", "a"), ("b1", "b"), ("b2", "b"), ("a1", "a"), ("b3", "b")):
        sessions.ask(session, client)
    assert [name in sessions for name in ("a1", "b1", "b2", "b3")] == [True, False, True, True]
    sessions.ask("c1", "c")
    assert "b2" not in sessions, "the oldest makes room"
    now[0] = 11
    sessions.ask("d1", "d")
    sessions.forget_old()
    assert [name in sessions for name in ("a1", "b3", "c1", "d1")] == [False, False, False, True]


def test_one_client_makes_nobody_elses_upload_forgotten(tmp_path):
    with guessing_server(tmp_path) as (address, *_):
        victim = Client(address, "victim", **{"X-Forwarded-For": "192.0.2.1"})
        victim.predict(encoded(noise_image(0)))
        for number in range(51):
            Client(address, f"flood{number}").call("explain", None)
        assert victim.call("flag", None, "benign", "").status_code == 200


@pytest.fixture
def forgetful(tmp_path, monkeypatch):
    """(address, Gradio's blocks) of a page that forgets after a second."""
    from stochconv_jax.demonstration.server import serve

    page, _ = guessing_page(tmp_path)
    blocks = page.build()
    monkeypatch.setattr(page, "build", lambda: blocks)
    with upload_directory(), serve(page, "127.0.0.1", free_port(), 999, remembered=1.0) as address:
        yield address, blocks


def wait_until_empty(of):
    deadline = time.monotonic() + 30
    while of and time.monotonic() < deadline:
        time.sleep(0.1)
    return not of


def test_uploads_are_forgotten_by_memory_as_well(forgetful):
    address, blocks = forgetful
    client = Client(address)
    assert client.predict(encoded(noise_image(0))).status_code == 200
    assert wait_until_empty(blocks.state_holder.session_data)
    assert "has been forgotten" in error_of(client.call("flag", None, "benign", ""))


def test_answers_that_nobody_fetches_are_forgotten(forgetful):
    address, blocks = forgetful
    for number in range(3):
        client = Client(address, f"s{number}")
        (path,) = client.upload(encoded(noise_image(number))).json()
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        fields = {"data": [file, None, "moles"], "fn_index": 0, "session_hash": f"s{number}"}
        assert client.post("queue/join", json=fields).status_code == 200
    assert wait_until_empty(blocks._queue.pending_messages_per_session)
    assert wait_until_empty(blocks.state_holder.session_data)


def test_who_never_fetches_is_not_kept_answers_for(forgetful, monkeypatch):
    address, blocks = forgetful
    monkeypatch.setattr("stochconv_jax.demonstration.server.MOST_UNREAD", 4)
    client, most = Client(address), 0
    for _ in range(20):
        fields = {"data": [None], "fn_index": 1, "session_hash": "one"}
        assert client.post("queue/join", json=fields).status_code == 200
        time.sleep(0.15)
        unread = blocks._queue.pending_messages_per_session.get("one")
        most = max(most, unread.qsize() if unread else 0)
    assert most < 20
