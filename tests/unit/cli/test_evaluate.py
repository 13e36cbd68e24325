import json
import re

import numpy as np
import pytest
from PIL import Image

from vtbench.schema.protocol import Protocol

NAMES = ("a/1", "a/2", "b/3", "b/4")


@pytest.fixture
def images(folder):
    """Folders `out` and `val` with four pairs of pictures of 32 x 32, in the current folder."""
    draw = np.random.default_rng(0)
    for name in NAMES:
        pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        for place, values in (("val", pixels), ("out", pixels ^ 3)):
            path = folder / place / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    return folder


@pytest.fixture
def evaluate(call, images):
    return lambda *more: call("evaluate", "--images", "out", "--reference", "val", *more)


def test_json_is_one_object_with_value_n_protocol_and_fingerprint(evaluate):
    found = json.loads(evaluate("--metrics", "psnr", "mae", "--json").stdout)
    assert (found["num_samples"], found["num_reference"], found["paired"]) == (4, 4, True)
    assert (found["resolution"], found["left_out"]) == ("32x32", {})
    assert list(found["metrics"]) == ["psnr", "mae"]
    psnr = found["metrics"]["psnr"]
    assert psnr["num_samples"] == 4
    assert psnr["unit"] == "dB"
    assert psnr["value"] == pytest.approx(_psnr(), abs=1e-9)
    assert Protocol.model_validate(psnr["protocol"]).fingerprint() == psnr["fingerprint"]
    assert re.fullmatch("[0-9a-f]{12}", found["fingerprint"])
    assert found["protocol"]["name"] == "canonical"
    assert found["protocol"]["crop"] == "adm"
    assert found["protocol"]["reference"] == "folder"
    low, high = psnr["interval"]
    assert low < psnr["value"] < high


def _psnr():
    """Return the mean of the images' decibels."""
    pairs = [[np.asarray(Image.open(f"{place}/{name}.png"), float) for place in ("out", "val")] for name in NAMES]
    return np.mean([10 * np.log10(255**2 / np.mean((one - two) ** 2)) for one, two in pairs])


def test_metrics_may_be_written_in_any_way(evaluate):
    texts = [
        ["--metrics", "psnr,mae"],
        ["--metrics", "psnr", "--metrics", "mae"],
        ["--metrics", "psnr", "mae"],
        ["--metrics", "psnr, mae", "psnr"],
    ]
    found = [json.loads(evaluate(*text, "--json").stdout)["metrics"] for text in texts]
    assert all(list(each) == ["psnr", "mae"] for each in found)


def test_a_table_names_values_fingerprint_protocol_and_warns_of_few_images(evaluate):
    text = evaluate("--metrics", "psnr", "rfd_effnet").stdout
    assert "protocol canonical" in text
    assert re.search(r"PSNR +psnr +4\d\.\d\d +dB .*higher +4 +[0-9a-f]{12}", text)
    assert "crop: adm" in text
    assert "means little: it needs 2,048" in text


def test_a_distance_of_fewer_than_ten_thousand_images_is_warned_of(evaluate, monkeypatch):
    monkeypatch.setattr("vtbench.evaluate.metrics.frechet.RfdEffnet.min_samples", 2)
    found = json.loads(evaluate("--metrics", "psnr", "rfd_effnet", "--json").stdout)
    assert [warning.partition(",")[0] for warning in found["warnings"]] == ["rFD (EfficientNet-Lite0) of 4 images"]
    low, high = found["metrics"]["rfd_effnet"]["interval"]
    assert low < found["metrics"]["rfd_effnet"]["value"] < high


def test_another_protocol_has_another_fingerprint(evaluate):
    ours, theirs = (
        json.loads(evaluate("--metrics", "psnr", "--protocol", name, "--json").stdout) for name in ("canonical", "alit")
    )
    assert ours["fingerprint"] != theirs["fingerprint"]
    assert ours["metrics"]["psnr"]["fingerprint"] != theirs["metrics"]["psnr"]["fingerprint"]


def test_all_metrics_that_can_be_taken_and_why_others_are_left_out(evaluate, monkeypatch, folder):
    for name in ("VTBENCH_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr("vtbench.evaluate.METRICS._table", _some())
    found = json.loads(evaluate("--json").stdout)
    assert list(found["metrics"]) == ["psnr"]
    assert "weights-inception" in found["left_out"]["rfid"]
    text = evaluate().stdout
    assert "left out: rfid:" in text


def _some():
    from vtbench.evaluate import METRICS

    return {name: METRICS._table[name] for name in ("psnr", "rfid")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "psrn"], "No metric is called 'psrn'. Did you mean 'psnr'?"),
        (["--protocol", "tito"], "No protocol is called 'tito'. Did you mean 'titok'?"),
        (["--resolution", "32"], "--resolution: '32' is not a resolution; write HEIGHTxWIDTH"),
        (["--device", "tpu"], "--device tpu: choose from cpu, cuda."),
        (["--images", "ot"], "There is no folder ot. Did you mean 'out'?"),
        (["--images", "studies"], "studies holds no image"),
        (["--resolution", "64x64", "--protocol", "unitok"], "does not fit into an image of 32x32"),
    ],
)
def test_wrong_input_is_one_message(evaluate, options, message):
    result = evaluate("--metrics", "psnr", *options) if "--metrics" not in options else evaluate(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_images_that_do_not_pair_are_listed(evaluate, images):
    (images / "val" / "a" / "1.png").unlink()
    result = evaluate("--metrics", "psnr")
    assert result.exit_code == 2
    assert "val has no partner of 'a/1'" in result.stderr
    assert json.loads(evaluate("--metrics", "rfd_effnet", "--json").stdout)["paired"] is False


def test_sizes_that_differ_and_files_that_are_broken_are_named(evaluate, images):
    Image.new("RGB", (32, 40)).save(images / "out" / "b" / "3.png")
    result = evaluate("--metrics", "psnr")
    assert result.exit_code == 2
    assert "out/b/3.png is 40x32. Give --resolution" in result.stderr
    assert evaluate("--metrics", "psnr", "--resolution", "32x32").exit_code == 0
    (images / "out" / "b" / "3.png").write_bytes(b"broken")
    result = evaluate("--metrics", "psnr")
    assert result.exit_code == 2
    assert "out/b/3.png is not an image" in result.stderr
