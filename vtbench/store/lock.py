"""One writer a run, also when writers sit on several machines that share a disk.

The lock is a file that names its holder and whose time of change is the holder's heartbeat. It is judged and replaced
only while a second file, the guard, is `flock`ed, so that two processes cannot both take over from a dead one.
Heartbeats are compared with the guard's own fresh time stamp: on a network disk the file server's clock sets both.

A dead holder loses the lock at once where its death can be seen (same boot of the same machine, same process
namespace), and otherwise when its heartbeat is old: a host that went down cannot hold it. A holder that slept, or that
could not reach the disk for so long, finds out before it writes again.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from vtbench.errors import RunLockedError, StoreError
from vtbench.store.files import disk_errors, write_atomic

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
"""A holder that has not been heard of for so long is taken for dead."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    `started` tells it from a later process with the same pid; `boot` tells its machine and container, whose processes
    can be looked at, from another of the same name, whose cannot.
    """

    pid: int
    host: str
    started: str
    token: str
    boot: str = ""

    @staticmethod
    def of_this_process() -> Holder:
        """Return a holder with a new token."""
        started = _started(os.getpid()) or ""
        return Holder(os.getpid(), socket.gethostname(), started, secrets.token_hex(8), _boot())


def live_holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path`, or None if nobody does or its holder is dead; writes nothing."""
    return _live_holder(path, time.time())


class RunLock:
    """A lock to be held for as long as a run is written; a thread keeps its heartbeat.

    Args:
        path: the lock's file.
        heartbeat_seconds: how often the holder shows that it lives.
        stale_seconds: how old the heartbeat of another holder must be to take over from it.
    """

    def __init__(
        self, path: Path, heartbeat_seconds: float = HEARTBEAT_SECONDS, stale_seconds: float = STALE_SECONDS
    ) -> None:
        self.path = path
        self._heartbeat_seconds = heartbeat_seconds
        self._stale_seconds = stale_seconds
        self._holder = Holder.of_this_process()
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._heard = time.monotonic()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Take the lock and start the heartbeat.

        Raises:
            RunLockedError: a live process holds it; the message names its pid and host.
            StoreError: the disk is read-only, full or gone.
        """
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with _guard(self.path) as now:
            other = _live_holder(self.path, now, self._stale_seconds)
            if other is not None:
                raise RunLockedError(
                    f"Run {self.path.parent.name} is being written by process {other.pid} on {other.host}."
                    " Wait for it or stop it, then try again."
                )
            write_atomic(self.path, json.dumps(asdict(self._holder)), sync=False)
            self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat {self.path.parent.name}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise a `RunLockedError` if another process has taken the lock over (this one slept for too long).

        Raises:
            RunLockedError: it has.
            StoreError: no heartbeat has reached the disk for so long that another process may, and none does now.
        """
        if not self._lost.is_set() and time.monotonic() - self._heard > self._stale_seconds / 2:
            self._show_life()
        if self._lost.is_set():
            raise RunLockedError(
                f"Run {self.path.parent.name} was taken over by another process, because this one was not heard of for"
                f" {self._stale_seconds:g} s. It stops here; the other one goes on."
            )

    def release(self) -> None:
        """Stop the heartbeat and give the lock back, if it is still ours."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with _guard(self.path):
            if _read(self.path) == self._holder:
                self.path.unlink()

    def _beat(self) -> None:
        while not self._stop.wait(self._heartbeat_seconds) and not self._lost.is_set():
            # A disk that does not answer may do so again; if it takes too long, `check` says so where it can be heard.
            with suppress(StoreError):
                self._show_life()

    def _show_life(self) -> None:
        with _guard(self.path):
            if _read(self.path) != self._holder:
                self._lost.set()
                return
            os.utime(self.path)
            self._heard = time.monotonic()


@contextmanager
def _guard(path: Path) -> Iterator[float]:
    """Hold the guard of the lock at `path` and yield the time by the clock of the disk, in seconds.

    Raises:
        StoreError: the disk is read-only, full or gone.
    """
    guard = path.with_name(f"{path.name}.guard")
    with disk_errors(guard):
        descriptor = os.open(guard, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.utime(descriptor)
            yield os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)


def _read(path: Path) -> Holder | None:
    """Return the holder that `path` names, or None if there is none (an unreadable lock has no holder)."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _live_holder(path: Path, now: float, stale_seconds: float = STALE_SECONDS) -> Holder | None:
    """Return the holder if its heartbeat is fresh at `now` and, on this machine, its process lives."""
    holder = _read(path)
    try:
        age = now - path.stat().st_mtime
    except FileNotFoundError:
        return None
    if holder is None or age > stale_seconds:
        return None
    here = holder.host == socket.gethostname() and holder.boot in ("", _boot())
    if here and _started(holder.pid) != holder.started:
        return None
    return holder


@cache
def _boot() -> str:
    """Return what names this boot of this machine and this process's namespace; "" where there is none (not Linux)."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when process `pid` of this machine started (kernel ticks), "" if unknown, None if it is dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it lives and belongs to somebody else
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return None if fields[0] in "ZX" else fields[19]  # a zombie writes no more
