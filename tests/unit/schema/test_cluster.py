import pytest
from pydantic import ValidationError

from vtbench.schema.cluster import ClusterConfig


def test_what_the_profile_says_counts_before_the_file():
    file = ClusterConfig(account="lab", partition="slow", setup=("module load cuda",), sbatch={"nice": 5, "gres": "a"})
    profile = ClusterConfig(partition="fast", minutes=30, sbatch={"gres": "b"})
    merged = profile.over(file)
    assert (merged.account, merged.partition, merged.minutes) == ("lab", "fast", 30)
    assert merged.setup == ("module load cuda",)
    assert merged.sbatch == {"nice": 5, "gres": "b"}
    assert ClusterConfig().over(file) == file


@pytest.mark.parametrize("wrong", [{"acount": "x"}, {"minutes": 0}, {"sbatch": {"x": [1]}}])
def test_it_is_strict(wrong):
    with pytest.raises(ValidationError):
        ClusterConfig.model_validate(wrong)
