import pytest

from vtbench.errors import RegistryError
from vtbench.models.quantizers import QUANTIZERS
from vtbench.models.quantizers.base import Quantizer


def test_every_row_is_a_quantizer_with_its_name():
    for name in QUANTIZERS:
        kind = QUANTIZERS.load(name)
        assert issubclass(kind, Quantizer)
        assert kind.Config.model_fields["name"].default == name


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(RegistryError, match="Did you mean 'lfq'"):
        QUANTIZERS.check("lfk")
