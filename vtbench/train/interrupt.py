"""Stop signals that wait for the end of a step.

A signal in the middle of a step would leave half of the weights updated. While the loop runs, SIGINT and SIGTERM only
raise a flag; the loop looks at it between steps, saves, and stops.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopFlag:
    """Whether somebody asked to stop."""

    raised: bool = False


@contextmanager
def deferred_stop() -> Iterator[StopFlag]:
    """Turn SIGINT and SIGTERM into a flag while inside; outside the main thread, where Python cannot, do nothing."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def raise_flag(number: int, frame: FrameType | None) -> None:
        flag.raised = True

    before = {number: signal.signal(number, raise_flag) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
