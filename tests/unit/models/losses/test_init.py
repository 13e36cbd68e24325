import pytest

from vtbench.errors import RegistryError
from vtbench.models.losses import PERCEPTUAL
from vtbench.models.losses.perceptual import PerceptualLoss


def test_every_row_is_a_perceptual_loss():
    assert PERCEPTUAL.names() == ["convnext_s", "effnet_lite0", "lpips"]
    assert all(issubclass(PERCEPTUAL.load(name), PerceptualLoss) for name in PERCEPTUAL)


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(RegistryError, match=r"'lpip'.*'lpips'"):
        PERCEPTUAL.load("lpip")
