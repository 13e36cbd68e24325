"""How jobs of a study are asked for on a cluster: what a lab writes once, and what a profile may say better."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from vtbench.schema.base import Frozen


class ClusterConfig(Frozen):
    """Options of Slurm's `sbatch`; None or empty means: not said here.

    Stands in `<config folder>/vtbench/clusters/NAME.yaml`, for `--cluster NAME`, and under `resources.cluster` of a
    profile. What the profile says counts before what the file says; `sbatch` is merged key by key.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    minutes: PositiveInt | None = None
    """Time limit of a job, where the profile's `resources.minutes` says none. A run that needs longer goes on in the
    next job."""
    memory_gb: PositiveFloat | None = None
    """Memory of a node, where the profile says none."""
    num_cpus: PositiveInt | None = None
    """Cores of a rank, where the profile says none."""
    max_parallel: PositiveInt | None = None
    """Most runs of a study at once."""
    signal_seconds: PositiveInt | None = None
    """How long before its time limit a job is told to save (by default 120 s, a quarter of the limit at most)."""
    poll_seconds: PositiveFloat | None = None
    """How often Slurm is asked about jobs (by default every 10 s)."""
    setup: tuple[str, ...] = ()
    """Lines of shell that a job runs first, for example `module load cuda`."""
    python: str | None = None
    """Command that starts Python on a node, where it is not the path of the one that submits."""
    sbatch: dict[str, str | int | bool] = Field(default_factory=dict)
    """Further options of `sbatch` by their long names without dashes, for example `{reservation: icml}`."""

    def over(self, other: ClusterConfig) -> ClusterConfig:
        """Return these options, filled up with those of `other` where they say nothing."""
        values = {name: value for name, value in dict(other).items() if value not in (None, (), {})}
        values |= {name: value for name, value in dict(self).items() if value not in (None, (), {})}
        return ClusterConfig.model_validate({**values, "sbatch": {**other.sbatch, **self.sbatch}})
