"""The command line of the demo: what it refuses before anybody waits for it."""

import socket
import sys

import pytest
from demo_client import free_port

from stochconv_jax.demonstration.command import load_networks, main
from stochconv_jax.errors import InputError

pytest.importorskip("gradio", reason="the demo extra is not installed")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "99999"), "--port is 99999; it must lie from 1 to 65535"),
        (("--defer", "20"), "--defer is 20.0; it must lie from 0 to 1"),
        (("--megapixels", "0"), "--megapixels is 0.0; it must be a number and more than 0"),
        (("--megabytes", "nan"), "--megabytes is nan; it must be a number and more than 0"),
        (("--megapixels", "inf"), "--megapixels is inf; it must be a number and more than 0"),
        (("--server-names", "https://x.org"), "--server-names https://x.org is no name of a host"),
        (("--host", "192.0.2.1"), "nothing can listen on 192.0.2.1, port"),
        (("--examples", "nowhere"), "--examples nowhere is no directory"),
        (("--flags", "nowhere/flags.sqlite"), "cannot be kept in nowhere/flags.sqlite"),
    ],
)
def test_mistakes_on_the_command_line_are_told_at_once(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["mine", "--port", str(free_port()), *arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("error: ") == 1


def test_a_taken_port_is_told_before_anything_is_compiled(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, flags = taken.getsockname()[1], tmp_path / "flags.sqlite"
        with pytest.raises(SystemExit):
            main(["mine", "--port", str(port), "--flags", str(flags)])
    assert f"port {port}: it is taken" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_runs_that_cannot_stand_on_one_page_are_named(tmp_path):
    with pytest.raises(InputError, match="two runs are called mine"):
        load_networks(["old/mine", "new/mine"], share=0.2)
    with pytest.raises(InputError, match="not the directory of a run"):
        load_networks([tmp_path], share=0.2)


def test_without_gradio_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit) as stopped:
        main(["mine"])
    assert stopped.value.code == 2
    assert "pip install 'stochconv_jax[demo]'" in capsys.readouterr().err
