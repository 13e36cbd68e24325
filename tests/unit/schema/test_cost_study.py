import json

import pytest
from pydantic import ValidationError

from vtbench.schema.cost_study import CostStudy

STUDY = {
    "name": "small",
    "path": "studies/small.yaml",
    "kind": "cost",
    "question": "What does it cost?",
    "source": "nobody",
    "expected": "little",
    "arms": [{"name": "a", "title": "A", "model": "vibetoken-ss", "set": {"pos_embed": "rope"}}],
    "axes": {"resolution": ["64x64"]},
    "conventions": ["full"],
    "reference_arm": "a",
}


def _study(**changes):
    return CostStudy.model_validate_json(json.dumps({**STUDY, **changes}))


def test_what_a_file_may_leave_out():
    study = _study()
    assert study.components == ("total",)
    assert study.published == ()
    assert study.axes.num_tokens == ()
    assert study.arm("a").set == {"pos_embed": "rope"}
    assert study.arm("a").patch is None


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "training"},
        {"axes": {"resolution": ["64"]}},
        {"axes": {"resolution": ["64x64"], "patch": [8]}},
        {"published": [{"arm": "a", "resolution": "64x64", "convention": "full", "value": 0}]},
        {"seeds": [0]},
    ],
)
def test_what_it_may_not_say(change):
    with pytest.raises(ValidationError):
        _study(**change)
