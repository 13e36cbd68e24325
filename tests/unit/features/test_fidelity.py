"""A registered feature network is an extractor that torch-fidelity can use."""

import pytest
import torch
from torch_fidelity.utils import create_feature_extractor

from vtbench.errors import RegistryError
from vtbench.features.effnet_lite0 import EffnetLite0
from vtbench.features.fidelity import FidelityExtractor, register
from vtbench.features.network import LOGITS, POOLED, SPATIAL


def test_extractor_gives_the_features_of_the_network():
    name = register("effnet_lite0")
    assert register("effnet_lite0") == name  # a second call is harmless
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    ours = EffnetLite0().extract(images, (POOLED, LOGITS, SPATIAL))
    for layers in ([POOLED], [LOGITS, POOLED], [SPATIAL]):
        extractor = create_feature_extractor(name, layers, cuda=False, verbose=False)
        for layer, theirs in zip(layers, extractor(images), strict=True):
            assert torch.equal(theirs, ours[layer])


def test_the_inception_score_takes_classes():
    assert FidelityExtractor.get_default_feature_layer_for_metric("isc") == LOGITS
    assert {FidelityExtractor.get_default_feature_layer_for_metric(name) for name in ("fid", "kid", "prc")} == {POOLED}


def test_unknown_network_gets_a_suggestion():
    with pytest.raises(RegistryError, match="effnet_lite0"):
        register("efnet_lite0")
