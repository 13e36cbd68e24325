import numpy as np
import pytest

from vtbench.errors import ResolutionError
from vtbench.models.tokenizers.patch_rule import PatchRule, nearest_tiling, official_encoder_patch

SLIDES = PatchRule(sizes=(8, 12, 16, 32), min_patches=256, max_patches=1024)
OFFICIAL = PatchRule(sizes=(8, 16, 32), min_patches=256, max_patches=1024, floor=True)


def _drawn(rule, size):
    rng = np.random.default_rng(0)
    return {rule.draw(rng, *size) for _ in range(60)}


@pytest.mark.parametrize("rule", [SLIDES, OFFICIAL])
@pytest.mark.parametrize(
    ("size", "patch"),
    [
        ((128, 128), 8),
        ((256, 256), 8),
        ((512, 512), 16),
        ((512, 256), 16),
        ((1024, 1024), 32),
        ((1024, 512), 32),
        ((2048, 2048), 32),
        ((64, 64), 8),
    ],
)
def test_inference_takes_8_16_and_32_at_256_512_and_1024(rule, size, patch):
    assert rule.choose(*size) == patch


def test_384_takes_12_where_there_is_one():
    assert SLIDES.choose(384, 384) == 12
    assert OFFICIAL.choose(384, 384) == 16


@pytest.mark.parametrize(
    ("size", "patches"),
    [((256, 256), {8, 16}), ((512, 512), {16, 32}), ((384, 384), {12, 16}), ((1024, 1024), {32}), ((64, 64), {8})],
)
def test_training_draws_all_patches_that_give_256_to_1024(size, patches):
    assert _drawn(SLIDES, size) == patches


def test_a_share_of_the_draws_can_be_kept_for_the_patch_of_inference():
    rule = PatchRule(sizes=(8, 16, 32), min_patches=64, max_patches=1024, inference_share=0.9)
    rng = np.random.default_rng(0)
    drawn = [rule.draw(rng, 256, 256) for _ in range(1000)]
    assert rule.choose(256, 256) == 8
    assert drawn.count(8) / 1000 == pytest.approx(0.9, abs=0.03)
    assert drawn.count(16) == pytest.approx(drawn.count(32), abs=30)


def test_draws_depend_on_the_generator_alone():
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert [SLIDES.draw(first, 512, 512) for _ in range(20)] == [SLIDES.draw(second, 512, 512) for _ in range(20)]


def test_of_two_counts_equally_near_the_smaller_patch_is_taken():
    rule = PatchRule(sizes=(4, 8), min_patches=10, max_patches=10)
    assert rule.choose(16, 16) == 4  # 16 and 4 patches
    assert PatchRule(sizes=(4, 8), min_patches=9, max_patches=9).choose(16, 16) == 8


def test_a_size_that_nothing_tiles_is_refused_with_the_nearest_one():
    with pytest.raises(ResolutionError, match=r"\[8, 12, 16, 32\] tiles 250x509.*is 248x512"):
        SLIDES.choose(250, 509)


def test_the_official_rule_leaves_out_the_remainder_but_needs_one_whole_patch():
    assert OFFICIAL.choose(250, 509) == 16
    with pytest.raises(ResolutionError, match="7x100"):
        OFFICIAL.choose(7, 100)


@pytest.mark.parametrize(
    ("size", "patches"),
    [((256, 256), {8, 16}), ((512, 512), {16, 32}), ((1024, 1024), {32}), ((384, 512), {12, 24}), ((8, 8), {1})],
)
def test_the_official_encoder_draws_its_base(size, patches):
    rng = np.random.default_rng(0)
    assert {official_encoder_patch(rng, *size, kernel_size=32) for _ in range(60)} == patches


@pytest.mark.parametrize(
    ("size", "patch", "nearest"), [((30, 35), 16, "32x32"), ((3, 100), 32, "32x96"), ((64, 96), 32, "64x96")]
)
def test_the_nearest_tiling_has_at_least_one_patch(size, patch, nearest):
    assert nearest_tiling(size, patch) == nearest
