"""What an importer or an installer of the package meets."""

import pathlib
import re
import subprocess
import sys

import pytest

import stochconv_jax
from stochconv_jax.runs.provenance import provenance, source_revision

ROOT = pathlib.Path(__file__).parents[1]


def git(directory, *words):
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", directory, *author, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository that tracks package/module.py, and not installed/module.py."""
    git(tmp_path, "init", "--quiet")
    for name in ("package", "installed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text("")
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "--quiet", "--message=First")
    return tmp_path


def test_the_revision_is_the_commit_and_whether_anything_was_changed(checkout):
    file = checkout / "package" / "module.py"
    commit = git(checkout, "rev-parse", "HEAD")
    assert source_revision(file) == commit
    file.write_text("changed = True")
    assert source_revision(file) == f"{commit}-dirty"


def test_a_repository_that_does_not_track_the_package_is_not_its_source(checkout):
    assert source_revision(checkout / "installed" / "module.py") == "unknown"


def test_the_revision_of_another_repository_in_a_hook_is_not_taken(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    commit = subprocess.run(
        ["git", f"--git-dir={checkout / '.git'}", "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert source_revision(checkout / "package" / "module.py") == commit


def test_without_git_there_is_no_revision(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert source_revision(checkout / "package" / "module.py") == "unknown"


def test_a_result_says_the_revision_of_its_source():
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", provenance()["revision"])


def test_importing_the_package_is_quick():
    light = "import sys, stochconv_jax; print({'jax', 'numpy', 'flax'} & set(sys.modules))"
    command = [sys.executable, "-c", light]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("name", sorted(set(stochconv_jax.__all__) - {"load_run"}))
def test_every_public_name_is_at_the_root(name):
    assert getattr(stochconv_jax, name) is not None
    assert name in dir(stochconv_jax)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'stochastic_convolution'"):
        _ = stochconv_jax.stochastic_convolution


def test_the_package_says_that_it_is_typed_and_holds_the_configs():
    package = ROOT / "stochconv_jax"
    assert (package / "py.typed").is_file()
    assert (package / "configs").samefile(ROOT / "configs")
    link = git(ROOT, "ls-files", "--stage", "stochconv_jax/configs")
    assert link.startswith("120000 "), "a copy would have to be kept in step"
