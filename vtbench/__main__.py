"""`python -m vtbench`."""

from __future__ import annotations

import sys

from vtbench.cli.app import app

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="python -m vtbench" if sys.argv[0].endswith("__main__.py") else "vtbench")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
