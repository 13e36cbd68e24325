"""One run in a process of its own: `python -m vtbench.launch.worker --root R --plan P [--fresh] [--parent PID] RUN_ID`.

Ends with 0 when the run is done, 1 when it failed (the reason on standard error), 75 when another process is at it, 130
when it was asked to stop. It ends at once when its controller does: a run that nobody watches would hold the machine
and its lock.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from vtbench.errors import RunLockedError, StoreError, VtbenchError
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store

DONE, FAILED, LOCKED, INTERRUPTED = 0, 1, 75, 130
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> int:
    """Run one run and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m vtbench.launch.worker", description="Train and measure one run.")
    parser.add_argument("--root", type=Path, required=True, help="the store's folder")
    parser.add_argument("--plan", type=Path, required=True, help="the plan's JSON file")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored of this run and train again")
    parser.add_argument("--parent", type=int, help="process id of the controller; end when it ends")
    parser.add_argument("run_id")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if options.parent is not None:
            _die_with(options.parent)
        _execute(Store(options.root), _read_plan(options.plan), options.run_id, options.fresh)
    except KeyboardInterrupt:
        return INTERRUPTED
    except VtbenchError as error:
        print(error, file=sys.stderr)
        return LOCKED if isinstance(error, RunLockedError) else FAILED
    return DONE


def _read_plan(path: Path) -> StudyPlan:
    try:
        return StudyPlan.model_validate_json(path.read_text())
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise StoreError(
            f"{path}: this is no plan of this version; `python -m vtbench run` writes a new one."
        ) from error


def _execute(store: Store, plan: StudyPlan, run_id: str, fresh: bool) -> None:
    if run_id not in plan.runs:
        raise StoreError(f"The plan {plan.id} has no run '{run_id}'.")
    # torch comes with it, and takes seconds: wrong arguments should not
    from vtbench.runner.execute import execute

    execute(store, plan, run_id, fresh=fresh)


def _stop(number: int, frame: FrameType | None) -> None:
    """Ask for the end once; whoever sends a second signal is already being answered."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux), also if the parent is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
