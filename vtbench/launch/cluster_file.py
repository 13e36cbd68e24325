"""Cluster files: account, partition and other options of a lab's cluster, written once by each user.

`--cluster NAME` reads `$XDG_CONFIG_HOME/vtbench/clusters/NAME.yaml` (by default under `~/.config`). The name `slurm`
needs no file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from vtbench.errors import StudyError, suggest
from vtbench.schema.cluster import ClusterConfig
from vtbench.study.problems import describe, join
from vtbench.study.yaml_file import read_yaml

LOCAL, SLURM = "local", "slurm"


def cluster_folder() -> Path:
    """Return where the user's cluster files lie."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "vtbench" / "clusters"


def load_cluster(name: str) -> ClusterConfig:
    """Return the options of the cluster `name`.

    Raises:
        StudyError: there is no such file, or something is wrong in it; a line for each problem, with `file:line`.
    """
    path = cluster_folder() / f"{name}.yaml"
    if not path.is_file():
        if name == SLURM:
            return ClusterConfig()
        known = [LOCAL, SLURM, *(found.stem for found in cluster_folder().glob("*.yaml"))]
        raise StudyError(f"--cluster {name}: there is no file {path}.{suggest(name, dict.fromkeys(known))}")
    file = read_yaml(path)
    try:
        return ClusterConfig.model_validate_json(json.dumps(file.data))
    except ValidationError as error:
        lines = describe(error, ClusterConfig, file.data, lambda place: str(file.locate(place)))
        raise join(lines) from error
