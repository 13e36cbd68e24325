"""A registered feature network is an extractor that torch-fidelity can use."""

import pytest
import torch
from torch_fidelity.utils import create_feature_extractor

from vtbench.errors import RegistryError
from vtbench.features.effnet_lite0 import EffnetLite0
from vtbench.features.fidelity import LAYER, register


def test_extractor_gives_the_features_of_the_network():
    name = register("effnet_lite0")
    assert register("effnet_lite0") == name  # a second call is harmless
    extractor = create_feature_extractor(name, [LAYER], cuda=False, verbose=False)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(extractor(images)[0], EffnetLite0().features(images))


def test_unknown_network_gets_a_suggestion():
    with pytest.raises(RegistryError, match="effnet_lite0"):
        register("efnet_lite0")
