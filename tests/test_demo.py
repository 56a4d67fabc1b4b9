"""The demo's page, asked as programs ask it: a server, a tiny network, Gradio's own client."""

import concurrent.futures
import dataclasses
import shutil
import sqlite3
import time
import urllib.parse

import numpy as np
import pytest
from demo_client import Client, encoded, error_of, find_chromium, free_port, png_header
from flax import nnx
from support import SMALL, command, noise_image

from stochconv_jax.command_line import read_flags
from stochconv_jax.demonstration.command import load_networks
from stochconv_jax.demonstration.network import DemoNetwork
from stochconv_jax.demonstration.rendering import render_answer, render_explanations
from stochconv_jax.demonstration.upload_directory import upload_directory
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.deferral import doubts
from stochconv_jax.explanations.explainer import Explainer, chosen_methods, make_maps
from stochconv_jax.feedback.store import FeedbackStore
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.prediction.predictor import Predictor, load_run
from stochconv_jax.runs.run import Run

pytest.importorskip("gradio", reason="the demo extra is not installed")


@pytest.fixture(scope="module")
def moles(straight, tmp_path_factory):
    """The tiny run under a name of its own."""
    directory = tmp_path_factory.mktemp("runs") / "moles"
    shutil.copytree(straight, directory)
    return directory


@pytest.fixture(scope="module")
def networks(moles):
    return load_networks([moles], 0.25, ["grad_cam", "window_map"])


@pytest.fixture(scope="module")
def server(networks, tmp_path_factory):
    """(address, store, directory of uploads) of a page that runs."""
    from stochconv_jax.demonstration.page import DemoPage
    from stochconv_jax.demonstration.server import serve

    folder = tmp_path_factory.mktemp("demo")
    store = FeedbackStore(folder / "flags.sqlite", create=True)
    example = folder / "example.png"
    noise_image(7).save(example)
    with upload_directory(lifetime=2.0) as uploads:
        page = DemoPage(networks, store, UploadLimits(megabytes=1, megapixels=2), [example])
        with serve(page, "127.0.0.1", free_port(), rate=1000) as address:
            yield address, store, uploads
    assert not uploads.exists()


@pytest.fixture
def client(server):
    return Client(server[0])


def test_an_answer_is_that_of_predict(client, moles):
    image = encoded(noise_image(1))
    expected = load_run(moles).predict([image])
    answer = client.predict(image).json()["data"][0]
    probabilities = [answer["probabilities"][name] for name in ("benign", "malignant")]
    np.testing.assert_allclose(probabilities, expected.probabilities[0], rtol=1e-4)
    np.testing.assert_allclose(answer["spread"]["malignant"], expected.spread[0], rtol=1e-2)
    assert answer["decision"] == expected.decisions[0]
    assert answer["threshold"] == load_run(moles).threshold
    assert (answer["network"], answer["note"]) == ("moles", "This is no medical device.")


def test_who_is_doubtful_is_told_by_the_validation_images(networks, moles):
    """By the deferral rule: as doubtful as the quarter of them that is left to a person."""
    network, threshold = networks[0], networks[0].predictor.threshold
    found = load_run(moles).network.predict_split(network.run.load_dataset(), "validation")
    doubt = doubts(found.probabilities, threshold)["confidence"]
    assert network.limit == pytest.approx(np.quantile(doubt, 0.75), abs=1e-6)
    for seed in range(6):
        answer = network.answer("image", encoded(noise_image(seed)))
        own = doubts(class_probabilities(answer.found.logits)[None], threshold)["confidence"][0]
        assert answer.doubtful == (own >= network.limit)
    everybody = dataclasses.replace(network, limit=-np.inf)
    nobody = dataclasses.replace(network, limit=np.inf)
    for each, doubtful, said in (
        (everybody, True, "Doubtful: show it to a person"),
        (nobody, False, "It can be wrong all the same"),
        (dataclasses.replace(network, limit=None), None, "cannot be told"),
    ):
        answer = each.answer("image", encoded(noise_image(0)))
        assert answer.doubtful is doubtful
        assert said in render_answer(each, answer)


def test_maps_are_drawn_side_by_side(client):
    client.predict(encoded(noise_image(2)), "<b>mole.png")
    make_maps.cache_clear()  # as the maps of other networks on a page would
    page = client.call("explain", None).json()["data"][0]
    assert not make_maps.cache_info().misses, "somebody waits for a compilation"
    assert page.count("data:image/png;base64,") == 1
    for title in ("Grad-CAM", "windows"):
        assert f"<b>{title}</b>" in page
    assert "&lt;b&gt;mole.png" in page, "names of files are no HTML"


def test_a_flag_is_kept_and_nothing_else(client, server):
    _, store, uploads = server
    image = encoded(noise_image(3), "JPEG")
    answer = client.predict(image, "../C:\\wrong.jpg").json()["data"][0]
    said = client.call("flag", None, "", "a scar").json()["data"][0]
    flag = [*store.flags()][-1]
    assert f"flag {flag.id}" in said
    assert (flag.run, flag.name, flag.image) == ("moles", "wrong.jpg", image)
    assert (flag.probabilities, flag.decision) == (answer["probabilities"], answer["decision"])
    assert (flag.correct_class, flag.comment) == ("", "a scar")
    client.predict(encoded(noise_image(4)))
    deadline = time.monotonic() + 20
    while any(path.is_file() for path in uploads.rglob("*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [path for path in uploads.rglob("*") if path.is_file()], "uploads are left"
    assert len([*store.flags()]) == flag.id


def test_bad_images_are_told_in_a_sentence_and_forgotten(client, server):
    whole = encoded(noise_image(5), "JPEG")
    for content, said in (
        (b"", "the file is no image of these kinds: JPEG, PNG, TIFF, BMP, WEBP"),
        (b"words", "the file is no image of these kinds"),
        (whole[:3000], "the image cannot be read: damaged: "),
        (encoded(noise_image(5), "GIF"), "the file is no image of these kinds"),
        (png_header(2000, 2000), "has 4.0 million pixels, and 2 million are allowed; shrink it"),
        (png_header(14143, 14143), "has far too many pixels, and 2 million are allowed"),
        (png_header(1000, 1000), "the image cannot be read: "),
    ):
        assert said in error_of(client.predict(content)), said
    assert client.predict(whole).status_code == 200, "nobody is locked out"


def test_what_cannot_be_asked_is_told_in_a_sentence(client, server):
    stranger = Client(server[0], "stranger")
    assert "no image yet" in error_of(stranger.call("predict", None, None, "moles"))
    assert "no image yet" in error_of(stranger.call("explain", None))
    assert "no image yet" in error_of(stranger.call("flag", None, "benign", ""))
    image = encoded(noise_image(6))
    assert "no network 'x'; use one of moles" in error_of(client.predict(image, network="x"))
    client.predict(image)
    assert "choose a class" in error_of(client.call("flag", None, None, ""))
    assert "no class 'cat'" in error_of(client.call("flag", None, "cat", ""))
    assert "more than 2000" in error_of(client.call("flag", None, "benign", 2001 * "x"))


def test_a_full_disk_loses_no_flag(client, server, monkeypatch):
    client.predict(encoded(noise_image(8)))
    kept, connect = len([*server[1].flags()]), sqlite3.connect

    def on_a_full_disk(*arguments, **options):
        database = connect(*arguments, **options)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        return database

    monkeypatch.setattr(sqlite3, "connect", on_a_full_disk)
    said = error_of(client.call("flag", None, "benign", "so it is"))
    assert "database or disk is full; nothing was changed" in said
    monkeypatch.undo()
    assert len([*server[1].flags()]) == kept
    assert client.call("flag", None, "benign", "so it is").status_code == 200, "it may be repeated"
    assert [*server[1].flags()][-1].comment == "so it is"


def test_people_who_ask_at_once_each_get_their_own_answer(server):
    images = [encoded(noise_image(20 + number)) for number in range(6)]

    def ask(number):
        client = Client(server[0], f"user {number}")
        answer = client.predict(images[number]).json()["data"][0]
        client.call("flag", None, "benign", f"user {number}")
        return answer["probabilities"]

    expected = [ask(number) for number in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == expected
    flags = [*server[1].flags()][-6:]
    assert {(flag.comment, flag.image) for flag in flags} == {
        (f"user {number}", image) for number, image in enumerate(images)
    }


def test_gradios_client_finds_the_endpoints(server, tmp_path):
    from gradio_client import Client as GradioClient
    from gradio_client import handle_file

    noise_image(9).save(tmp_path / "mole.png")
    remote = GradioClient(server[0], verbose=False)
    answer = remote.predict(
        upload=handle_file(tmp_path / "mole.png"), network="moles", api_name="/predict"
    )
    assert answer["decision"] in ("benign", "malignant")
    assert "kept as flag" in remote.predict("benign", "", api_name="/flag")
    assert set(remote.view_api(return_format="dict")["named_endpoints"]) == {
        "/predict",
        "/explain",
        "/flag",
    }


def test_a_network_without_windows_offers_no_maps_of_them(prepared, tmp_path):
    flags = command("tests/small_config.py", tmp_path / "plain", prepared, **SMALL)
    config = read_flags(["program", *flags, "--config.model.branches=('global',)"])[0]
    with Run.create(config, tmp_path / "plain") as (run, _):
        model = model_from_config(run.config, run.num_outputs)
    untrained = TrainedNetwork(run, tuple(nnx.state(model, nnx.Param, nnx.BatchStat)), 0, 0)
    with pytest.raises(InputError, match="no stochastic branch, so that window_map cannot be had"):
        DemoNetwork.load(tmp_path / "plain", 0.2, ["window_map"])
    explainer = Explainer(untrained, chosen_methods(run, ["grad_cam"]), rows=1)
    network = DemoNetwork("plain", Predictor(untrained, 0.5, "half"), explainer, 0.2, None)
    answer = network.answer("image", encoded(noise_image(0)))
    assert "without random windows" in render_answer(network, answer)
    page = render_explanations(network, answer)
    assert "windows" not in page
    assert "Grad-CAM" in page


@pytest.fixture
def browser_page(server):
    """The page in a real browser, and the hosts that it asks for anything."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        chromium = find_chromium(started)
        if not chromium:
            pytest.skip("there is no Chromium; run `playwright install chromium`")
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, hosts = browser.new_page(), set()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: hosts.add(urllib.parse.urlsplit(request.url).netloc))
        page.goto(server[0])
        yield page, hosts
        browser.close()


def test_somebody_uploads_looks_asks_why_and_flags(browser_page, server, tmp_path):
    (page, hosts), store = browser_page, server[1]
    mole, words = tmp_path / "my mole.jpg", tmp_path / "words.png"
    noise_image(10).save(mole)
    words.write_text("no image")
    page.get_by_text("This is no medical device.").wait_for()
    page.set_input_files("#upload input[type=file]", words)
    page.get_by_text("the file is no image of these kinds").wait_for()
    page.set_input_files("#upload input[type=file]", mole)
    page.locator(".answer .verdict").wait_for()
    assert page.locator(".answer .bar").count() == 2
    assert "my mole.jpg" in page.locator(".answer figcaption").inner_text()
    page.click("#why")
    page.locator(".why img").wait_for()
    page.click("#flag")
    page.get_by_text("choose a class").wait_for()
    page.click("#correct input")
    page.get_by_role("option", name="none of these").click()
    page.fill("#comment textarea", "a scar")
    page.click("#flag")
    page.locator("#kept").get_by_text("kept as flag").wait_for()
    flag = [*store.flags()][-1]
    assert (flag.image, flag.correct_class, flag.comment) == (mole.read_bytes(), "", "a scar")
    page.locator("#examples button").first.click()
    page.get_by_text("example.png, as the network was given it").wait_for()
    assert not page.locator(".why").count(), "maps of the image before stay"
    assert hosts - {""} == {urllib.parse.urlsplit(server[0]).netloc}, "others are asked"
