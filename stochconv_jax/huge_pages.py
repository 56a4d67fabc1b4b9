"""Memory in huge pages, which a training step on the CPU is much faster with."""

import os
import pathlib
import platform
import sys

SETTING = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
TUNABLE = "glibc.malloc.hugetlb"


def restart_with_huge_pages() -> None:
    """Starts this Python command anew with the allocator asking for huge pages, where it can.

    A step's large arrays are freed and mapped afresh each time; in pages of 4 KiB mapping them
    takes as long as computing them. Linux leaves huge pages to each program ("madvise"), and glibc
    asks for them only where the environment said so before the program began. Returns, having done
    nothing, in the program so started and on systems where there is nothing to ask for.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if TUNABLE in tunables or platform.libc_ver()[0] != "glibc" or not SETTING.exists():
        return
    if "[madvise]" not in SETTING.read_text():
        return
    os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, (tunables, f"{TUNABLE}=1")))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
