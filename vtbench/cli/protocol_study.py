"""What `run`, `plan` and `report` do with a study of `kind: protocols`: measure one thing in many ways, and show it."""

from __future__ import annotations

from pathlib import Path

from vtbench.cli.arguments import REPORTS
from vtbench.cli.output import say, show_table
from vtbench.errors import StudyError
from vtbench.schema.preset import CANONICAL
from vtbench.schema.protocol_study import ProtocolStudy
from vtbench.store.layout import Store
from vtbench.store.provenance import collect
from vtbench.study.load import PROTOCOLS, study_kind
from vtbench.study.protocol_study import load_protocol_study


def is_protocol_study(path: Path, **options: object) -> bool:
    """Return whether a study file compares protocols.

    Args:
        path: the study's file.
        options: options that such a study cannot take: name -> what was given; None, False and empty ones were not.

    Raises:
        StudyError: it is of no known kind, or compares protocols and was given such an option.
    """
    if study_kind(path) != PROTOCOLS:
        return False
    if given := [f"--{name}" for name, value in options.items() if value]:
        raise StudyError(
            f"{path}: this study compares protocols and has nothing for {', '.join(given)}: nothing trains, and what it"
            " measures stands in the file."
        )
    return True


def run_protocol_study(path: Path, store: Store, report_dir: Path | None) -> None:
    """Measure a protocol study and write its report; features that the store's cache holds are not taken again."""
    study = load_protocol_study(path)
    # torch and matplotlib come with these, and what is wrong above should not wait for them
    from vtbench.report.protocol_data import MeasuredCell, ProtocolReportData
    from vtbench.report.protocol_study import render_protocols
    from vtbench.runner.protocol_study import measure_study

    say(f"{study.name}: {' '.join(study.question.split())}")
    say(_cost(study))
    provenance = collect(f"python -m vtbench run {study.path}")
    outcome = measure_study(
        study, store.cache_dir, lambda arm, damage: say(f"  {damage.title}, measured as {arm.title}")
    )
    cells = tuple(
        MeasuredCell(
            arm=one.arm,
            degradation=one.degradation,
            metric=one.metric,
            value=one.value,
            num_samples=one.protocol.num_samples,
            protocol=one.protocol.fingerprint(),
            interval=one.interval,
        )
        for one in outcome.values
    )
    data = ProtocolReportData(
        study=study,
        values=cells,
        protocols={one.protocol.fingerprint(): one.protocol.fields() for one in outcome.values},
        left_out=outcome.left_out,
        provenance=provenance,
    )
    say(f"report: {render_protocols(data, report_dir if report_dir is not None else REPORTS / study.name)}")


def plan_protocol_study(path: Path) -> None:
    """Show what a protocol study would measure; measures nothing."""
    study = load_protocol_study(path)
    rows = []
    for arm in study.arms:
        changes = ", ".join(arm.resolved().changes(CANONICAL))
        reference = arm.reference if arm.reference_jpeg is None else f"{arm.reference}, JPEG {arm.reference_jpeg}"
        rows.append((arm.title, arm.preset, changes or "nothing", reference))
    show_table(study.name, ["arm", "preset", f"changes against {CANONICAL.name}", "references"], rows)
    say(_cost(study))


def report_protocol_study(path: Path, report_dir: Path | None) -> None:
    """Render a protocol study's report again from the data in its folder."""
    study = load_protocol_study(path)
    from vtbench.report.protocol_study import render

    say(f"report: {render(report_dir if report_dir is not None else REPORTS / study.name)}")


def _cost(study: ProtocolStudy) -> str:
    return (
        f"{len(study.arms)} arms measure {len(study.degradations)} sets of {study.num_samples:,} reconstructions at"
        f" {study.resolution}: {', '.join(study.metrics)}; nothing trains"
    )
