"""How a demo bears ten people at once: are its answers right, does its memory grow?

    python -m benchmarks.demo runs/quickstart

Starts `stochconv demo` on the run, lets people ask for some minutes about synthetic lesions, each
with a session of its own, and prints a table for docs/demo.md. Every answer is compared with that
of `load_run(...).predict`.
"""

import argparse
import concurrent.futures
import contextlib
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from stochconv_jax.data.framing import encode_jpeg
from stochconv_jax.data.preparation.lesion_drawing import draw_lesion
from stochconv_jax.markdown_table import markdown_table
from stochconv_jax.prediction.predictor import load_run

IMAGES = 20
# Of so many answers one is asked for its maps.
EXPLAINED = 4


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser("python -m benchmarks.demo", description=__doc__)
    parser.add_argument("run", help="directory of a trained run")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--port", type=int, default=7999)
    options = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    files = draw_images(pathlib.Path(folder.name))
    expected = load_run(options.run).predict(files).probabilities
    with started(options.run, options.port) as (address, process):
        memory, done = [resident(process)], threading.Event()
        watch = threading.Thread(target=sample_memory, args=(process, memory, done))
        watch.start()
        begin = time.monotonic()

        def use(user: int) -> list[tuple[float, float]]:
            return list(ask(address, user, files, expected, begin + options.seconds))

        with concurrent.futures.ThreadPoolExecutor(options.users) as pool:
            asked = [row for rows in pool.map(use, range(options.users)) for row in rows]
        passed = time.monotonic() - begin
        done.set()
        watch.join()
    tell(options.users, passed, asked, memory)
    folder.cleanup()


def draw_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Draws synthetic lesions, half of them malignant, as files of JPEG."""
    files = [folder / f"{number}.jpg" for number in range(IMAGES)]
    for number, file in enumerate(files):
        lesion = draw_lesion(np.random.default_rng((99, number)), 512, number % 2 == 1)
        file.write_bytes(encode_jpeg(Image.fromarray(lesion)))
    return files


@contextlib.contextmanager
def started(run: str, port: int) -> Iterator[tuple[str, subprocess.Popen]]:
    """Starts a demo and waits until it answers."""
    address = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as folder:
        flags = pathlib.Path(folder) / "flags.sqlite"
        words = [run, "--port", str(port), "--rate", "1000000", "--flags", str(flags)]
        process = subprocess.Popen([sys.executable, "-m", "stochconv_jax.demo", *words])
        try:
            while process.poll() is None:
                with contextlib.suppress(httpx.TransportError):
                    httpx.get(address)
                    break
                time.sleep(1)
            yield address, process
        finally:
            process.terminate()
            process.wait()


def ask(
    address: str, user: int, files: list[pathlib.Path], expected: np.ndarray, until: float
) -> Iterator[tuple[float, float]]:
    """Asks about one image after the other: yields (seconds, largest difference) of each."""
    # Else they were one client, of whom few sessions are remembered.
    own_address = {"X-Forwarded-For": f"192.0.2.{user}"}
    client, number = Client(address, headers=own_address, verbose=False), user
    while time.monotonic() < until:
        image, begin = number % len(files), time.monotonic()
        answer = client.predict(upload=handle_file(files[image]), api_name="/predict")
        if number % EXPLAINED == 0:
            client.predict(api_name="/explain")
        found = np.array([*answer["probabilities"].values()])
        yield time.monotonic() - begin, float(np.abs(found - expected[image]).max())
        number += 1


def resident(process: subprocess.Popen) -> float:
    """Returns what a process holds in memory, MiB (Linux)."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return int(kilobytes) / 1024


def sample_memory(process: subprocess.Popen, memory: list[float], done: threading.Event) -> None:
    """Adds what a process holds to `memory`, every second."""
    while not done.wait(1):
        memory.append(resident(process))


def tell(users: int, seconds: float, asked: list[tuple[float, float]], memory: list[float]) -> None:
    """Prints the table."""
    waits = np.array([wait for wait, _ in asked])
    waited = f"median {np.median(waits):.1f}, most {waits.max():.1f}"
    quarters = [memory[round(share * (len(memory) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]
    rows = [
        ("people at once", f"{users}"),
        ("answers", f"{len(asked)} in {seconds:.0f} s, {len(asked) / seconds:.1f} a second"),
        ("seconds from upload to answer, of one in four to maps", waited),
        ("largest difference from `predict`", f"{max(row[1] for row in asked):.1e}"),
        ("memory, MiB, at each quarter", ", ".join(f"{value:.0f}" for value in quarters)),
    ]
    print(markdown_table(["", ""], rows))


if __name__ == "__main__":
    main()
