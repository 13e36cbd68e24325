from typing import get_args

from vtbench.cli.progress import plain_line
from vtbench.launch.event import Kind, RunEvent


def test_every_kind_of_event_can_be_shown(make_plan, capsys):
    plan = make_plan()
    run_id = next(iter(plan.runs))
    for kind in get_args(Kind):
        plain_line(plan, RunEvent(kind=kind, run_id=run_id, cause="why", place="job 12_0"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(get_args(Kind)) - 1  # `progress` would come several times a second
    assert "grid seed 0: waiting, job 12_0 (why)" in lines
    assert "grid seed 0: started, job 12_0" in lines
