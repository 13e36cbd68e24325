import subprocess
import sys

import pytest

from vtbench.features import FEATURES
from vtbench.features.network import POOLED, FeatureNetwork


@pytest.mark.parametrize("name", FEATURES.names())
def test_every_row_is_a_feature_network_under_its_own_name(name):
    network = FEATURES.load(name)
    assert issubclass(network, FeatureNetwork)
    assert network.name == name
    assert all(min(shape) > 0 for shape in network.layers.values())
    assert len(network.layers[POOLED]) == 1
    assert network.input_size > 0
    assert network.preprocessing


def test_listing_needs_no_torch():
    code = "import sys, vtbench.features as f; f.FEATURES.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
