"""`python -m vtbench`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

# Imports and traces make objects by the hundred thousand that all live on: looking for dead cycles among them every 700
# (Python's default) is a sixth of the time of a short command.
gc.set_threshold(50_000, 20, 20)

from vtbench.cli.app import app  # noqa: E402

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    code: object = 0
    try:
        app(prog_name="python -m vtbench" if sys.argv[0].endswith("__main__.py") else "vtbench")
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    if not isinstance(code, int | None):
        sys.exit(str(code))
    leave(code or 0)


def leave(code: int) -> NoReturn:
    """End this process at once, after its threads, what is registered for the end, and its output.

    Without it Python takes everything apart that torch has made, which takes up to a second and serves nobody.
    """
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
