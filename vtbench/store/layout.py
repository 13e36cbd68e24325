"""Where everything lies under the store's root.

```
<root>/runs/<run_id>/{spec.json, record.json, metrics.jsonl, progress.json, lock, checkpoints/, samples/, measured/}
<root>/studies/<study>@<profile>/plan.json
<root>/folders/<hash>/
<root>/jobs/<name>/{submission.json, plan.json, attempts/, ...}
<root>/snapshots/<hash>/
<root>/cache/
```
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT_VARIABLE = "VTBENCH_ROOT"


def default_root() -> Path:
    """Return `$VTBENCH_ROOT`, or `runs/` in the current folder if it is not set."""
    return Path(os.environ.get(ROOT_VARIABLE) or "runs")


@dataclass(frozen=True)
class Store:
    """The paths of a store; touches no file itself, except that `run_ids` lists a folder."""

    root: Path

    def run_dir(self, run_id: str) -> Path:
        """The folder that holds all that a run leaves behind."""
        return self.root / "runs" / run_id

    def spec_path(self, run_id: str) -> Path:
        """The run's `RunSpec`, as JSON."""
        return self.run_dir(run_id) / "spec.json"

    def record_path(self, run_id: str) -> Path:
        """The run's `RunRecord`, as JSON, replaced atomically."""
        return self.run_dir(run_id) / "record.json"

    def log_path(self, run_id: str) -> Path:
        """The training log: one JSON object a line, with `step`."""
        return self.run_dir(run_id) / "metrics.jsonl"

    def progress_path(self, run_id: str) -> Path:
        """How far the current stage is, as JSON, replaced often and not synced to disk."""
        return self.run_dir(run_id) / "progress.json"

    def lock_path(self, run_id: str) -> Path:
        """Who writes the run at the moment."""
        return self.run_dir(run_id) / "lock"

    def checkpoint_dir(self, run_id: str) -> Path:
        """The run's checkpoints."""
        return self.run_dir(run_id) / "checkpoints"

    def samples_dir(self, run_id: str) -> Path:
        """The run's picture strips, `<resolution>_L<num_tokens or full>_{original,reconstruction}.png`."""
        return self.run_dir(run_id) / "samples"

    def measured_dir(self, run_id: str) -> Path:
        """What was taken of each measured image, `<resolution>_L<num_tokens or full>/<id>/*.npy`."""
        return self.run_dir(run_id) / "measured"

    def plan_path(self, plan_id: str) -> Path:
        """The `StudyPlan` called `<study>@<profile>`."""
        return self.root / "studies" / plan_id / "plan.json"

    @property
    def folders_dir(self) -> Path:
        """Rows measured of folders of images from elsewhere, under hashes of what decides them."""
        return self.root / "folders"

    def cost_path(self, key: str) -> Path:
        """The `ModelCost` of a model at a workload, under the hash of all that decides it."""
        return self.root / "costs" / f"{key}.json"

    @property
    def jobs_dir(self) -> Path:
        """A folder for each array of jobs that was submitted to a cluster."""
        return self.root / "jobs"

    @property
    def snapshots_dir(self) -> Path:
        """Copies of the code that jobs run, under hashes of their content."""
        return self.root / "snapshots"

    @property
    def cache_dir(self) -> Path:
        """Everything that can be made again: drawn images, reference statistics."""
        return self.root / "cache"

    def run_ids(self) -> list[str]:
        """Return the ids of all runs that have a record, sorted; empty if there is no store yet."""
        return sorted(path.parent.name for path in (self.root / "runs").glob("*/record.json"))
