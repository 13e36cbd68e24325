import pytest
import torch

from vtbench.models.nn.kv_cache import KVCache


@pytest.fixture
def cache():
    return KVCache.empty(2, 3, 4, 5, 8, torch.device("cpu"), torch.float32)


def test_an_empty_cache_is_zero_and_knows_its_size(cache):
    assert len(cache.layers) == 2
    assert cache.length == 5
    assert cache.layers[0].keys.shape == (3, 4, 5, 8)
    assert not any(layer.keys.any() or layer.values.any() for layer in cache.layers)
    assert cache.num_bytes == 2 * 2 * 3 * 4 * 5 * 8 * 4


def test_a_number_gives_the_places_seen_and_a_tensor_all_with_a_mask(cache):
    keys, values = torch.randn(3, 4, 3, 8), torch.randn(3, 4, 3, 8)
    for place in range(3):
        part = keys[:, :, place : place + 1], values[:, :, place : place + 1]
        seen_keys, seen_values, mask = cache.layers[0].extend(*part, place)
        all_keys, all_values, all_mask = cache.layers[1].extend(*part, torch.tensor(place))
    assert mask is None
    torch.testing.assert_close(seen_keys, keys)
    torch.testing.assert_close(seen_values, values)
    assert all_mask.tolist() == [[True, True, True, False, False]]
    assert all_keys.shape[2] == 5
    torch.testing.assert_close(all_keys[:, :, :3], keys)
    torch.testing.assert_close(all_values[:, :, :3], values)


def test_nothing_is_allocated_for_a_place(cache):
    layer = cache.layers[1]
    keys, values, _ = layer.extend(torch.ones(3, 4, 1, 8), torch.ones(3, 4, 1, 8), 2)
    assert keys.untyped_storage().data_ptr() == layer.keys.untyped_storage().data_ptr()
    assert values.untyped_storage().data_ptr() == layer.keys.untyped_storage().data_ptr()


def test_layers_do_not_share_places(cache):
    cache.layers[0].extend(torch.ones(3, 4, 1, 8), torch.ones(3, 4, 1, 8), 0)
    assert not cache.layers[1].keys.any()
    assert not cache.layers[0].keys[:, :, 1:].any()


def test_the_first_sequences_are_a_view(cache):
    first = cache.first(2)
    first.layers[0].extend(torch.ones(2, 4, 1, 8), torch.ones(2, 4, 1, 8), 0)
    assert cache.layers[0].keys[:2, :, 0].all()
    assert not cache.layers[0].keys[2].any()


@pytest.mark.parametrize("place", [1, torch.tensor(1)])
def test_what_is_written_takes_the_caches_precision(place):
    half = KVCache.empty(1, 1, 1, 2, 4, torch.device("cpu"), torch.bfloat16)
    keys, _, _ = half.layers[0].extend(torch.ones(1, 1, 1, 4), torch.ones(1, 1, 1, 4), place)
    assert keys.dtype == torch.bfloat16
    assert keys[:, :, 1].all()
