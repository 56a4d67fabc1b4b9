import os
import pathlib
import subprocess
import sys

import pytest

from stochconv_jax import huge_pages

SCRIPT = """
import os, sys
from stochconv_jax.huge_pages import restart_with_huge_pages
print("started", flush=True)
restart_with_huge_pages()
print(os.environ.get("GLIBC_TUNABLES"), sys.argv[1:])
"""


def run_script(path, **environment):
    path.write_text(SCRIPT)
    kept = {key: value for key, value in os.environ.items() if key != "GLIBC_TUNABLES"}
    return subprocess.run(
        [sys.executable, path, "one", "two words"],
        env=kept | environment | {"PYTHONPATH": str(pathlib.Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def offered():
    setting = huge_pages.SETTING
    return setting.exists() and "[madvise]" in setting.read_text()


@pytest.mark.skipif(not offered(), reason="the system does not leave huge pages to programs")
def test_a_command_starts_once_more_with_its_arguments_and_tunables(tmp_path):
    lines = run_script(tmp_path / "script.py", GLIBC_TUNABLES="glibc.malloc.check=0")
    tunables = "glibc.malloc.check=0:glibc.malloc.hugetlb=1"
    assert lines == ["started", "started", f"{tunables} ['one', 'two words']"]


def test_a_command_that_has_chosen_is_left_alone(tmp_path):
    lines = run_script(tmp_path / "script.py", GLIBC_TUNABLES="glibc.malloc.hugetlb=0")
    assert lines == ["started", "glibc.malloc.hugetlb=0 ['one', 'two words']"]


def test_nothing_happens_where_the_system_has_decided(tmp_path, monkeypatch):
    setting = tmp_path / "enabled"
    setting.write_text("[always] madvise never")
    monkeypatch.setattr(huge_pages, "SETTING", setting)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    huge_pages.restart_with_huge_pages()
    assert "GLIBC_TUNABLES" not in os.environ
