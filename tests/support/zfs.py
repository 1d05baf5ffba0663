"""A pool to test with, in a file: of the kernel's ZFS where that is loaded, else of zfs-fuse. Needs root.

zfs-fuse has one socket for the whole machine, so those who test with it take turns. A daemon that runs already is used
and left alone. One of ours that ends by itself fails the test that needed it, with its last words, and no other.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from support.requirements import lacks, require_root_and

KERNEL_MODULE = Path("/sys/module/zfs")
SOCKET = "/var/run/zfs/zfs_socket"
TURNS = Path("/run/lock/dotscience-tests-zfs")
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}

_numbers = itertools.count()
_running: list[tuple[subprocess.Popen, object]] = []


def run(*command: str) -> str:
    """Run a command that has to succeed; what it printed."""
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
    return ended.stdout


@contextmanager
def zfs():
    """ZFS, for as long as this lasts."""
    if KERNEL_MODULE.exists():
        yield
        return
    require_root_and(**{"zfs-fuse": "zfs-fuse", "fusermount": "fuse3"})
    if not Path("/dev/fuse").exists():
        lacks("needs /dev/fuse")
    with TURNS.open("w") as turns:
        fcntl.flock(turns, fcntl.LOCK_EX)
        if _answers():
            yield
        else:
            with _daemon():
                yield


@contextmanager
def pool(folder: Path, size: str):
    """The name of a new pool in a file in `folder`, mounted at `folder/pool`."""
    _revive()
    name = f"dstest{os.getpid()}n{next(_numbers)}"
    image = folder / f"{name}.img"
    run("truncate", "-s", size, str(image))
    run("zpool", "create", "-o", "cachefile=none", "-O", f"mountpoint={folder / 'pool'}", name, str(image))
    try:
        yield name
    finally:
        _destroy_pool(name)
        image.unlink()


def outlive(check: Callable[[int], None]) -> None:
    """Do a check, once more if our daemon ends by itself meanwhile; `check` gets the number of the attempt.

    zfs-fuse is not maintained, and has been seen to end for no reason that could be found. A check that fails while it
    runs has failed, and so has one during which it ends twice.
    """
    try:
        check(0)
    except Exception:
        words = _last_words()
        if not words:
            raise
        print(f"tried again{words}")
        check(1)


def _destroy_pool(name: str) -> None:
    """Destroy a pool; what was unmounted in it a moment ago may still be busy."""
    for attempt in range(50):
        ended = subprocess.run(["zpool", "destroy", "-f", name], env=ENVIRONMENT, capture_output=True, check=False)
        if ended.returncode == 0:
            return
        if _last_words():
            break
        time.sleep(0.02 * attempt)
    raise AssertionError(f"the pool {name} cannot be destroyed: {ended.stderr.decode()}{_last_words()}")


@contextmanager
def _daemon():
    _start()
    try:
        yield
    finally:
        daemon, log = _running.pop()
        daemon.terminate()
        daemon.wait()
        log.close()


def _start() -> None:
    log = tempfile.TemporaryFile()  # noqa: SIM115 - kept as long as the daemon
    daemon = subprocess.Popen(
        ["zfs-fuse", "--no-daemon", "--no-kstat-mount"], env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
    )
    _running.append((daemon, log))
    while not _answers():
        assert daemon.poll() is None, f"zfs-fuse does not start{_last_words()}"
        time.sleep(0.01)


def _revive() -> None:
    """Start our daemon again if it has ended; its mounts are in the way of whoever cleans up."""
    if not _running or _running[-1][0].poll() is None:
        return
    print(_last_words())
    _running.pop()[1].close()
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if " fuse.zfs " in line]
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=False)
    _start()


def _last_words() -> str:
    """How our daemon has ended, and what it said; nothing as long as it runs."""
    if not _running or _running[-1][0].poll() is None:
        return ""
    daemon, log = _running[-1]
    log.seek(0)
    return f"; zfs-fuse ended with {daemon.returncode}: {log.read().decode(errors='replace')[-2000:]}"


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(SOCKET)
        except OSError:
            return False
    return True
