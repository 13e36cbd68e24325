import json
import time

import pytest

from vtbench.study.cards import load_cards

SMALL = ["--resolution", "64x64", "--tokens", "16"]
LAYER = "{width: 64, num_layers: 1, num_heads: 2}"
TINY = ["--set", f"encoder={LAYER}", "--set", f"decoder={LAYER}"]


@pytest.fixture
def figures(call):
    """Return the object that `cost` prints for arguments."""

    def figures(*arguments):
        result = call("cost", *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return figures


def test_without_a_model_all_are_listed(call):
    text = call("cost").stdout
    assert set(load_cards()) <= set(text.split())
    assert "VibeToken Small-Small, adaptive patches" in text


def test_an_object_of_one_tokenizer(figures):
    found = figures("vibetoken-ss", *SMALL, *TINY, "--patch", "16")
    assert found["model"] == "vibetoken-ss"
    assert found["convention"] == "full"
    assert found["gflops"] == found["full_gflops"] == found["conventions"]["full"]
    assert found["gflops"] == pytest.approx(sum(found["components"][name] for name in ("encode", "quantize", "decode")))
    assert (found["resolution"], found["num_tokens"], found["patch"]) == ("64x64", 16, 16)
    assert found["coverage"] == pytest.approx(1, abs=0.01)
    assert "fvcore" in found["tool"]
    assert found["params"] * 2 == found["weight_bytes"]
    assert found["kv_cache_bytes"] is None
    assert "trunk_only" not in found["conventions"]
    assert found["device"] == "h100"
    assert found["roofline_seconds"] > 0


def test_a_position_embedding_changes_what_hooks_see_and_not_the_work(figures):
    rows = [
        figures("vibetoken-ss-fixed16", *SMALL, *TINY, "--pos-embed", name, "--convention", "hook_no_mha")
        for name in ("grid", "rope_learnable")
    ]
    for row in rows:
        assert row["convention"] == "hook_no_mha"
        assert row["gflops"] == row["conventions"]["hook_no_mha"] < row["full_gflops"] == row["conventions"]["full"]
    assert rows[1]["gflops"] > 1.1 * rows[0]["gflops"]
    assert rows[1]["full_gflops"] == pytest.approx(rows[0]["full_gflops"], rel=0.01)


def test_a_list_of_several_models_and_a_batch(figures):
    options = ["--set", f"size={LAYER}", "--tokens", "16"]
    found = figures("vibetoken-gen-b", "llamagen-b", *options, "--batch", "2", "--device", "a100")
    assert [row["model"] for row in found] == ["vibetoken-gen-b", "llamagen-b"]
    for row in found:
        assert {"forward", "prefill", "step", "head", "sampling", "sampling_cfg", "training_step"} == {
            *row["components"]
        }
        assert row["in_total"] == ["forward"]
        assert row["components"]["sampling_cfg"] == pytest.approx(2 * row["components"]["sampling"])
        assert row["batch_size"] == 2
        assert row["kv_cache_bytes"] > 0
        assert row["device"] == "a100"
    assert [row["resolution"] for row in found] == ["256x256", "64x64"]


@pytest.mark.slow
def test_tables_and_what_the_clock_says(call):
    models = ["vibetoken-ss", "vibetoken-ss-fixed16"]
    result = call("cost", *models, *SMALL, *TINY, "--measure", "--convention", "linear_only")
    assert result.exit_code == 0
    assert result.stdout.count("total (encode + quantize + decode)") == 2
    assert "GFLOPs (linear_only)" in result.stdout
    assert "GFLOPs (full)" in result.stdout
    assert "Beside each other; ratios to vibetoken-ss" in result.stdout
    assert "encoder {'width': 64, 'num_layers': 1, 'num_heads': 2}" in result.stdout
    assert "decode, images/s" in result.stdout
    assert "random weights in float32" in result.stdout
    found = json.loads(call("cost", *models, *SMALL, *TINY, "--measure", "--json").stdout)
    for row in found:
        encode = row["measured"]["encode"]["images/s"]
        assert 0 < encode["slowest"] <= encode["median"] <= encode["fastest"]
        assert row["measured"]["decode"]["images/s"]["median"] > 0
    assert found[0]["measured"]["encode"]["images/s"]["ratio"] is None
    assert found[1]["measured"]["encode"]["images/s"]["ratio"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vibetokn-ss"], "No model is called 'vibetokn-ss'. Did you mean 'vibetoken-ss'?"),
        (["vibetoken-ss", "--convention", "ful"], "No convention for FLOPs is called 'ful'. Did you mean 'full'?"),
        (["vibetoken-ss", "--device", "h1000"], "No device is called 'h1000'. Did you mean 'h100'?"),
        (["vibetoken-ss", "--resolution", "1024"], "--resolution: '1024' is not a resolution; write HEIGHTxWIDTH"),
        (["vibetoken-ss", "--convention", "trunk_only"], "'trunk_only' has no meaning for 'vibetoken-ss', a tokenizer"),
        (["llamagen-b", "--patch", "16"], "'llamagen-b' is a generator and has no patch; leave --patch out."),
        (["llamagen-b", "--tokens", "300"], "300 tokens form no grid in the shape of a square image"),
        (["vibetoken-ss", "--pos-embed", "rope", "--set", "pos_embed=grid"], "say the same; give one of them"),
        (["vibetoken-ss", "--set", "pos_embed"], "write PATH=VALUE"),
    ],
)
def test_mistakes_that_need_no_torch(call, arguments, said):
    start = time.process_time()
    result = call("cost", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vibetoken-ss", "--resolution", "1000x1001"], "no patch size of [8, 12, 16, 32] tiles 1000x1001"),
        (["vibetoken-ss", "--patch", "24", "--resolution", "64x64"], "a near size that they do is 72x72"),
        (["vibetoken-ss-fixed16", "--resolution", "250x250"], "the nearest size that they do is 256x256"),
        (["vibetoken-ss-fixed16", "--patch", "8"], "this model's is fixed at 16"),
        (["vibetoken-ss", "--tokens", "300"], "this model has 1 to 256"),
        (["vibetoken-ss", "--pos-embed", "gird"], "pos_embed cannot be 'gird'. Did you mean 'grid'?"),
        (["llamagen-b", "--pos-embed", "grid"], "'llamagen' has no option 'pos_embed'."),
        (["llamagen-b", "--measure", "--set", "codebook_size=1000000000000"], "The weights do not fit into the"),
        (["vibetoken-gen-b", "--tokens", "300"], "300 tokens asked for; 'vibetoken-gen-b' has 1 to 256"),
    ],
)
def test_mistakes_that_the_model_finds(call, arguments, said):
    result = call("cost", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
