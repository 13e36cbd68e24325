import torch

from vtbench.models.nn.precision import full_precision


def test_autocast_is_off_inside_and_on_again_after():
    a = torch.rand(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with full_precision(a):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16


def test_the_meta_device_which_has_no_autocast_is_no_obstacle():
    a = torch.empty(4, 4, device="meta")
    with full_precision(a):
        assert (a @ a).dtype == torch.float32
