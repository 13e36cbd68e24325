import pytest
from pydantic import ValidationError

from vtbench.schema.generation import CfgSchedule, GenerationConfig


def _config(**fields):
    return GenerationConfig(**{"resolutions": ("16x16", "32x16"), "num_samples": 4, **fields})


def test_points_are_a_grid_and_name_themselves():
    config = _config(num_tokens=(None, 2), cfg_scale=(1.0, 2.0), top_k=(None, 8), top_p=(0.9,))
    assert len(config.samplings) == 4
    assert len(config.points) == 16
    assert len({point.name for point in config.points}) == 16
    last = config.points[-1]
    assert last.name == "32x16_L2_cfg2.0_k8_p0.9_t1.0"
    assert last.params == {
        "resolution": "32x16",
        "num_tokens": 2,
        "cfg_scale": 2.0,
        "top_k": 8,
        "top_p": 0.9,
        "temperature": 1.0,
    }


def test_all_points_of_a_way_of_sampling_stand_together():
    ways = [point.sampling for point in _config(cfg_scale=(1.0, 2.0)).points]
    assert ways == sorted(ways, key=lambda way: way.cfg_scale)


@pytest.mark.parametrize("fields", [{"top_p": (0.0,)}, {"temperature": (0.0,)}, {"resolutions": ()}, {"cfg_scale": ()}])
def test_what_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        _config(**fields)


@pytest.mark.parametrize("fields", [{"name": "interval"}, {"name": "cosine", "last": 3}])
def test_an_interval_alone_has_an_end(fields):
    with pytest.raises(ValidationError, match="an interval needs its last token"):
        CfgSchedule(**fields)
    assert CfgSchedule(name="interval", first=1, last=3).last == 3
