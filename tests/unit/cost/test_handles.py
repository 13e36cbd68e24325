import pytest

from vtbench.cost.handles import HANDLES, attention_macs, cdist_macs, conv_macs, einsum_macs, is_product, matmul_macs


@pytest.mark.parametrize(
    ("a", "b", "macs"),
    [
        ((4, 5), (5, 6), 4 * 5 * 6),
        ((5,), (5,), 5),
        ((4, 5), (5,), 20),
        ((5,), (5, 6), 30),
        ((4, 5), (7, 5, 6), 7 * 4 * 5 * 6),  # fvcore says 4 x 5 x 6
        ((2, 1, 4, 5), (3, 5, 6), 2 * 3 * 4 * 5 * 6),
    ],
)
def test_matmul_broadcasts(a, b, macs):
    assert matmul_macs(a, b) == macs


def test_attention_counts_scores_and_weighted_sum():
    q, k, v = (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4)
    assert attention_macs(q, k, v) == 2 * 3 * (5 * 7 * 8 + 5 * 7 * 4)


def test_attention_broadcasts_and_counts_each_query_head_of_a_group():
    assert attention_macs((2, 8, 5, 4), (2, 2, 7, 4), (2, 2, 7, 4)) == 2 * 8 * (5 * 7 * 4 + 5 * 7 * 4)
    assert attention_macs((1, 3, 5, 4), (6, 3, 7, 4), (6, 3, 7, 2)) == 6 * 3 * (5 * 7 * 4 + 5 * 7 * 2)


def test_cdist_counts_each_pair_and_coordinate():
    assert cdist_macs((6, 4), (9, 4)) == 6 * 9 * 4
    assert cdist_macs((2, 6, 4), (1, 9, 4)) == 2 * 6 * 9 * 4


def test_a_transposed_convolution_works_at_its_input():
    assert conv_macs((2, 8, 5, 5), (8, 4, 2, 2), (2, 4, 10, 10), transposed=True) == 2 * 8 * 4 * 4 * 25
    assert conv_macs((2, 8, 5, 5), (4, 8, 3, 3), (2, 4, 5, 5), transposed=False) == 2 * 8 * 4 * 9 * 25


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("bnd,bmd->bnm", [(2, 5, 4), (2, 7, 4)], 2 * 5 * 7 * 4),
        ("bnd, bmd -> bnm", [(2, 5, 4), (2, 7, 4)], 2 * 5 * 7 * 4),
        ("ij,jk", [(3, 4), (4, 5)], 60),
        ("ij,jk->k", [(3, 4), (4, 5)], 20),  # i is summed away first
        ("i,j->ij", [(3,), (4,)], 0),  # elementwise: nothing is summed
        ("ij,jk->ik", [(3, 1), (1, 4)], 0),
        ("ij,jk->ik", [(3, 5), (1, 4)], 0),
        ("bi,bi->b", [(3, 4), (3, 4)], 12),
        ("ij->i", [(3, 4)], 0),
        ("...ij,jk->...ik", [(6, 2, 3, 4), (4, 5)], 6 * 2 * 3 * 4 * 5),
        ("...ij,...jk", [(2, 3, 4), (6, 1, 4, 5)], 6 * 2 * 3 * 4 * 5),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
    ],
)
def test_einsum_is_exact(equation, shapes, macs):
    assert einsum_macs(equation, shapes) == macs


def test_einsum_follows_a_path():
    shapes = [(2, 3), (3, 4), (4, 5)]
    assert einsum_macs("ij,jk,kl->il", shapes, path=[1, 2, 0, 1]) == 3 * 4 * 5 + 2 * 3 * 5


@pytest.mark.parametrize(
    "op",
    [
        *HANDLES,
        "aten::_native_multi_head_attention",
        "aten::_transformer_encoder_layer_fwd",
        "aten::bilinear",
        "aten::tensordot",
        "aten::lstm",
        "aten::linalg_multi_dot",
        "aten::_scaled_mm",
        "aten::fft_fft2",
        "torchvision::deform_conv2d",
        "prim::PythonOp.MyKernel",
    ],
)
def test_products_and_hidden_work_are_recognised(op):
    assert is_product(op)


@pytest.mark.parametrize(
    "op",
    [
        "aten::layer_norm",
        "aten::rms_norm",
        "aten::gelu",
        "aten::embedding",
        "aten::upsample_bilinear2d",
        "aten::grid_sampler",
        "aten::im2col",
        "aten::mul",
        "aten::linalg_vector_norm",
        "aten::softmax",
        "aten::sum",
        "aten::linspace",
    ],
)
def test_the_rest_is_free(op):
    assert not is_product(op)
