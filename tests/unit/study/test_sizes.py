from vtbench.schema.run import MixingConfig
from vtbench.study.sizes import size_pairs


def test_size_pairs():
    same = size_pairs(MixingConfig(inputs={"8x8": 1.0, "8x16": 3.0}))
    assert same == {((8, 8), (8, 8)): 0.25, ((8, 16), (8, 16)): 0.75}
    apart = size_pairs(MixingConfig(inputs={"8x8": 1.0, "16x16": 1.0}, targets={"32x32": 2.0}))
    assert apart == {((8, 8), (32, 32)): 0.5, ((16, 16), (32, 32)): 0.5}
