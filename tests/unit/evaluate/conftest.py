"""The small pass of `tests/fakes/tiny_pass.py`."""

import importlib

import pytest


@pytest.fixture
def tiny(monkeypatch):
    """Return the module, with small chunks, nothing counted yet, and its network in the registry for this test."""
    from vtbench.evaluate import one_pass, reference_features
    from vtbench.features import FEATURES

    monkeypatch.setitem(FEATURES._table, "tiny", "tiny_pass:TinyNetwork")
    module = importlib.import_module("tiny_pass")
    monkeypatch.setattr(one_pass, "CHUNK_IMAGES", module.CHUNK)
    monkeypatch.setattr(module.TinyNetwork, "passes", [])
    reference_features._loaded.cache_clear()
    yield module
    reference_features._loaded.cache_clear()
