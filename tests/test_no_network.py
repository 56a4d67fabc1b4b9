"""The commands fetch nothing: they run where every connection but those to this machine fails."""

import os
import subprocess
import sys

from support import ROOT, TOY, command, noise_image, write_rows

# Found by every Python that starts here, the workers of preparation as well. What is tried is
# written down, whatever becomes of the error.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None  # None: a Unix socket
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"):
        with open(os.environ["TRIED"], "a") as file:
            print(event, host, file=file)
        raise OSError("no network")
sys.addaudithook(watch)
"""
COMMANDS = """
if __name__ == "__main__":  # the workers of preparation read this again, and need nothing of it
    import ast, sys
    from stochconv_jax.cli import main
    for arguments in ast.literal_eval(sys.stdin.read()):
        sys.argv = ["stochconv", *arguments]
        main()
"""


def python(tmp_path, *arguments, **more):
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    paths = [str(tmp_path), str(ROOT), os.environ["PYTHONPATH"]]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "TRIED": str(tmp_path / "tried")}
    environment["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=0"  # or training would start it anew
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_the_watch_sees_a_connection(tmp_path):
    done = python(tmp_path, "-c", "import socket; socket.create_connection(('192.0.2.1', 80))")
    assert done.returncode == 1
    assert "no network" in done.stderr
    assert "192.0.2.1" in (tmp_path / "tried").read_text()


def test_preparing_training_judging_and_asking_connect_to_nothing(tmp_path, prepared):
    images = tmp_path / "images"
    images.mkdir()
    rows = [[f"{number}.png", "ab"[number % 2]] for number in range(12)]
    write_rows(images / "labels.csv", [["image", "target"], *rows])
    for number, (name, _) in enumerate(rows):
        noise_image(number).save(images / name)
    fields = TOY | {"train.epochs": "1"}
    run = command("tests/small_config.py:base", tmp_path / "run", prepared, **fields)
    folder = ["--source", str(images), "--output", str(tmp_path / "out"), "--size", "128"]
    asked = [str(tmp_path / "run"), str(images / "0.png")]
    arguments = [
        ["prepare", "folder", *folder, "--processes", "2"],
        ["train", *run],
        ["eval", *run],
        ["predict", *asked, "--output", str(tmp_path / "predictions.csv")],
        ["explain", *asked, "--output", str(tmp_path / "explanations.html")],
    ]
    (tmp_path / "commands.py").write_text(COMMANDS)
    done = python(tmp_path, str(tmp_path / "commands.py"), input=repr(arguments))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "tried").exists(), (tmp_path / "tried").read_text()
    for name in (
        "out/manifest.csv",
        "run/eval/report.html",
        "predictions.csv",
        "explanations.html",
    ):
        assert (tmp_path / name).exists(), done.stdout
