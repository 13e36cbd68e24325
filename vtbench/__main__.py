"""`python -m vtbench`."""

from __future__ import annotations

import gc
import sys

# Imports and traces make objects by the hundred thousand that all live on: looking for dead cycles among them every 700
# (Python's default) is a sixth of the time of a short command.
gc.set_threshold(50_000, 20, 20)

from vtbench.cli.app import app  # noqa: E402

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="python -m vtbench" if sys.argv[0].endswith("__main__.py") else "vtbench")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
