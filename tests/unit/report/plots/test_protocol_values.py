from pathlib import Path

import pytest
from matplotlib.colors import same_color

from vtbench.report.plots.protocol_values import protocol_values
from vtbench.report.plots.style import styled
from vtbench.report.protocol_data import Disagreement, MeasuredCell, ProtocolReportData
from vtbench.schema.record import Provenance
from vtbench.study.protocol_study import load_protocol_study

STUDY = load_protocol_study(Path(__file__).parents[3] / "fakes" / "small_protocol_study.yaml")


def _data(values):
    made = Provenance(commit=None, dirty_hash=None, packages={}, hardware="", command="", started="")
    return ProtocolReportData(study=STUDY, values=values, protocols={}, left_out={}, provenance=made)


@pytest.fixture
def drawing():
    values = tuple(
        MeasuredCell(arm=arm.name, degradation=each.name, metric="psnr", value=value, num_samples=4, protocol=arm.name)
        for index, arm in enumerate(STUDY.arms)
        for each, value in zip(STUDY.degradations, (20.0 + index, 10.0 + index), strict=True)
    )
    with styled():
        return protocol_values(Disagreement(_data(values)))


def test_a_marker_a_value_and_a_line_at_the_reference_arms(drawing):
    (axes,) = drawing.figure.axes
    markers = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
    drawn = [index for index, arm in enumerate(STUDY.arms) if arm.name != "cut"]
    assert [sorted(line.get_xdata()) for line in markers] == [[low + index for index in drawn] for low in (20, 10)]
    upright = [line for line in axes.lines if list(line.get_xdata()) in ([20.0, 20.0], [10.0, 10.0])]
    assert len(upright) == 2
    assert same_color(upright[0].get_color(), markers[0].get_color())


def test_the_presets_stand_above_the_single_changes(drawing):
    names = [text.get_text() for text in drawing.figure.axes[0].get_yticklabels()]
    assert names[::-1][:3] == ["canonical", "seed_voken", "unitok, images of the size"]
    assert "unitok, larger images" not in names
    assert "Not drawn, far off: unitok, larger images." in drawing.caption


def test_nothing_measured_is_not_drawn():
    assert protocol_values(Disagreement(_data(()))) is None
