"""Arguments that several verbs share, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from vtbench.errors import StoreError, StudyError, suggest
from vtbench.schema.cost_study import CostStudy
from vtbench.schema.protocol_study import ProtocolStudy
from vtbench.schema.study import Study
from vtbench.store.layout import Store, default_root
from vtbench.store.query import plan_ids
from vtbench.study.cost_study import load_cost_study
from vtbench.study.load import COST, PROTOCOLS, TRAINING, find_study, load_study, study_kind
from vtbench.study.protocol_study import load_protocol_study
from vtbench.study.search import SEARCH
from vtbench.study.yaml_file import parse_value

AnyStudy = Study | CostStudy | ProtocolStudy
REPORTS = Path("reports")
DEFAULT_PROFILE = "tiny"

StudiesArgument = Annotated[
    list[str],
    typer.Argument(metavar="STUDY...", help="Study files, or names of some in `studies/`.", show_default=False),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="The beginning of a run's id, or [STUDY/]ARM[/AXIS=VALUE ...][/SEED].",
        show_default=False,
    ),
]
RunStudyOption = Annotated[
    str | None,
    typer.Option("--study", metavar="STUDY", help="In which study the run is, or in which STUDY@PROFILE."),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", metavar="NAME", help="At which scale: one of the study's profiles.")
]
SeedsOption = Annotated[
    int | None,
    typer.Option("--seeds", min=1, metavar="N", help="Use seeds 0 to N-1 instead of the study's.", show_default=False),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="Where runs are stored. [default: $VTBENCH_ROOT, or runs/]", show_default=False
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Set a value of the config for all arms; may be repeated.",
        show_default=False,
    ),
]
ClusterOption = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="NAME",
        help="Where runs go: `local`, `slurm`, or a file of that name in `~/.config/vtbench/clusters/`.",
    ),
]


def open_store(root: Path | None) -> Store:
    """Return the store at `root`, by default the usual one."""
    return Store(root if root is not None else default_root())


def parse_overrides(texts: list[str] | None) -> dict[str, Any]:
    """Return the values of `--set path=value`; values are written as in YAML.

    Raises:
        StudyError: one is not of that form, or a path comes twice.
    """
    found: dict[str, Any] = {}
    for text in texts or []:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            raise StudyError(f"--set {text}: write PATH=VALUE, for example --set train.steps=100.")
        if path in found:
            raise StudyError(f"--set {path}: this path is set twice.")
        found[path] = parse_value(value, f"--set {path}")
    return found


def load_any_study(path: Path) -> AnyStudy:
    """Return the study that a file holds, of whichever kind.

    Raises:
        StudyError: something is wrong with it; a line for each problem, each beginning with `file:line`.
    """
    loaders: dict[str, Callable[[Path], AnyStudy]] = {
        TRAINING: load_study,
        COST: load_cost_study,
        PROTOCOLS: load_protocol_study,
        SEARCH: load_study,
    }
    return loaders[study_kind(path)](path)


def report_folder(plan_id: str) -> Path:
    """Return where a plan's report goes: `reports/<study>`, with `-<profile>` unless the profile is the default one."""
    study, _, profile = plan_id.partition("@")
    return REPORTS / (study if profile == DEFAULT_PROFILE else f"{study}-{profile}")


def matching_plans(store: Store, name: str) -> list[str]:
    """Return the stored plans that `name` means: a plan's id, a study's name, or a study's file.

    Raises:
        StoreError: the store has none; says which it has.
    """
    known = plan_ids(store)
    if name in known:
        return [name]
    study = load_study(find_study(name)).name if Path(name).is_file() else name
    if found := [plan_id for plan_id in known if plan_id.partition("@")[0] == study]:
        return found
    hint = suggest(study, known) if known else " It is empty; `python -m vtbench run` fills it."
    raise StoreError(f"{store.root} has no plan of '{name}'.{hint}")
