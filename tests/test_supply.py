"""What is installed is locked by its hashes, and its licences are known and allowed."""

import re

import licences
import pytest

ROOT = licences.ROOT
LOCKS = ("requirements-build", "requirements", "requirements-dev", "requirements-alone")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
RENEW = "run `make lock`"


def pins(file):
    """Returns {(name, version)} of a file of requirements or of a lock."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return {(licences.normal(name), version) for name, version in PIN.findall(text)}


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_a_hash_and_no_address(name):
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    packages = re.split(r"^(?=[A-Za-z])", text, flags=re.MULTILINE)[1:]
    assert len(packages) == len(PIN.findall(text))
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
    assert "make lock" in text.splitlines()[1]
    assert pins(f"{name}.txt") <= pins(f"{name}.lock"), RENEW


def test_what_is_developed_with_is_what_users_have():
    assert pins("requirements.lock") <= pins("requirements-dev.lock"), RENEW


def test_pytorch_alone_comes_without_a_hash():
    assert {name for name, _ in pins("requirements-torch.txt")} == {"torch"}
    installs = re.findall(r"pip install (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    loose = {line.split()[-1] for line in installs if "--require-hashes" not in line}
    assert loose == {"requirements-torch.txt", "."}


def test_every_licence_is_allowed_and_listed():
    rows = re.findall(
        r"^\| (\S+) \| (\S+) \| (.+) \|$", licences.LIST.read_text(encoding="utf-8"), re.MULTILINE
    )
    listed = {licences.normal(name): (version, licence) for name, version, licence in rows}
    known = licences.licences()
    locked = set.union(*(pins(f"{name}.lock") for name in LOCKS), pins("requirements-torch.txt"))
    for title, names in licences.sections():
        for name in names:
            package, _, licence = known[name]
            assert set(licences.parts(licence)) <= licences.ALLOWED, (title, package, licence)
            assert name in listed, f"{package} is new; run `make licences`"
            assert licence == listed[name][1], f"{package} says {licence}; run `make licences`"
            assert (name, listed[name][0]) in locked, f"{package} changed; run `make licences`"


@pytest.mark.parametrize("licence", ["AGPL-3.0", "GPL-3.0-only", "MIT AND GPL-2.0", "UNKNOWN"])
def test_a_licence_that_binds_whoever_uses_it_is_none_of_those_allowed(licence):
    assert not set(licences.parts(licence)) <= licences.ALLOWED
