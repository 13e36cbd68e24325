"""How the processes of a run end together: the first that fails says so, and none waits for one that is gone.

A process that waits inside a collective operation hears nothing, so a thread listens. What it hears of is the failure
that came first: the errors of those that merely waited for the failed one never hide it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

from torch import distributed as dist

from vtbench.distributed.environment import rank, world_size

POLL_SECONDS = 0.5
GRACE_SECONDS = 3.0
"""How long a process has to find out by itself that another has failed."""
SILENCE_SECONDS = 60.0
"""A process that has not been heard of for so long is taken for dead."""
ARRIVAL_SECONDS = 600.0
"""How long after the first process another may come: imports from a slow disk take minutes."""

STOPPED = "KeyboardInterrupt"
"""The kind of a failure that is none: somebody asked to stop."""

_FIRST = "first failure"
_END = "end"
"""What a process says instead of a heartbeat when it is done."""


@dataclass(frozen=True)
class Failure:
    """Why one of the processes ended.

    Attributes:
        rank: which. host: its machine.
        kind: name of the error's class. message: what it said. stage: of the run, "" before the first.
    """

    rank: int
    host: str
    kind: str
    message: str
    stage: str

    @property
    def text(self) -> str:
        """The message, with the process it came from."""
        return f"process {self.rank} of {world_size()} on {self.host}: {self.message}"


class Watch:
    """Announces this process's failure to the others, and theirs to this one.

    Args:
        store: see `collectives.open_store`.
        silence_seconds: how long a process may be silent.
    """

    def __init__(self, store: dist.Store, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._store = store
        self._listener = store.clone()  # a connection of its own: the other may be waiting for an answer
        self._silence_seconds = silence_seconds
        self._on_failure: Callable[[Failure], None] = lambda failure: None
        self._handled, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="watch", daemon=True)
        self._thread.start()

    def on_failure(self, action: Callable[[Failure], None]) -> None:
        """Have `action` called if another process fails while this one waits; the process ends after it."""
        self._on_failure = action

    def announce(self, kind: str, message: str, stage: str) -> Failure:
        """Tell the others that this process ends, and return the failure that came first: this one or another's.

        From here on the caller has ten seconds to leave.
        """
        own = Failure(rank(), socket.gethostname(), kind, message, stage)
        self._handled.set()
        try:
            first = self._store.compare_set(_FIRST, "", json.dumps(asdict(own)))
        except RuntimeError:
            return own  # nobody is left to tell
        return Failure(**json.loads(first))

    def share(self, name: str, text: str) -> None:
        """Give the others a text."""
        self._store.set(name, text)

    def receive(self, name: str) -> str:
        """Wait for a text that the first process shares, and return it."""
        self._store.wait([name], timedelta(hours=1))
        return self._store.get(name).decode()

    def close(self) -> None:
        """Stop listening: all has ended well here."""
        self._ended.set()
        self._thread.join()
        with suppress(RuntimeError):
            self._listener.set(f"beat {rank()}", _END)

    def _listen(self) -> None:
        heard = {number: ("", time.monotonic()) for number in range(world_size()) if number != rank()}
        beat = 0
        while not self._ended.wait(POLL_SECONDS):
            try:
                beat += 1
                self._listener.set(f"beat {rank()}", str(beat))
                if self._listener.check([_FIRST]):
                    failure = Failure(**json.loads(self._listener.get(_FIRST)))
                    break
                if rank() == 0:
                    self._look_for_the_dead(heard)
            except RuntimeError:  # the store is gone, and the process that kept it
                failure = Failure(0, "?", "ProcessLostError", "the process ended without a word", "")
                break
        else:
            return
        self._leave(failure)

    def _look_for_the_dead(self, heard: dict[int, tuple[str, float]]) -> None:
        """Announce, in its place, a process that is silent for too long."""
        for number, (last, since) in heard.items():
            key = f"beat {number}"
            now = self._listener.get(key).decode() if self._listener.check([key]) else ""
            if now != last:
                heard[number] = (now, time.monotonic())
                continue
            limit = self._silence_seconds if last else ARRIVAL_SECONDS
            if last != _END and time.monotonic() - since > limit:
                message = f"not heard of for {limit:g} s: killed, or its machine is down"
                failure = Failure(number, "?", "ProcessLostError", message, "")
                self._listener.compare_set(_FIRST, "", json.dumps(asdict(failure)))

    def _leave(self, failure: Failure) -> None:
        """End this process, by force if its main thread is not on its way out."""
        if self._ended.wait(GRACE_SECONDS):
            return
        if self._handled.is_set() and self._ended.wait(10.0):
            return
        try:
            if not self._handled.is_set():
                print(failure.text, file=sys.stderr, flush=True)
                self._on_failure(failure)
        finally:
            os._exit(130 if failure.kind == STOPPED else 1)
