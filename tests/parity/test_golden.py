"""Every golden file is reproduced, and a difference would be noticed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
SCRIPT = HERE / "check.py"
FILES = sorted((HERE / "data").glob("*.safetensors"))
TOKENIZER = HERE / "data" / "vibetoken.safetensors"

_spec = importlib.util.spec_from_file_location("parity_check", SCRIPT)
check = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check)


@pytest.fixture
def changed(tmp_path):
    """Write a golden file again with some tensors replaced or added."""

    def changed(changes):
        model, config, tensors = check.read(TOKENIZER)
        path = tmp_path / "changed.safetensors"
        save_file({**tensors, **changes}, path, metadata={"model": model, "config": json.dumps(config)})
        return path

    return changed


def test_there_is_a_golden_file():
    assert TOKENIZER in FILES


def test_only_guided_logits_may_differ_more():
    assert check.tolerance("tf/logits") == check.tolerance("gen_g16/cond_logits") == 1e-4
    assert check.tolerance("gen_g16/guided_logits") == check.tolerance("gen_cfg4/next_logits") == 5e-4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_outputs_are_compared_and_agree(path):
    names = set(check.part(check.read(path)[2], "output"))
    differences = check.check(path)
    assert set(differences) == names
    assert {name: value for name, value in differences.items() if value > check.tolerance(name)} == {}


def test_a_perturbed_weight_is_noticed(changed):
    name = "state/decoder.transformer.1.mlp.c_fc.bias"
    weight = check.read(TOKENIZER)[2][name].clone()
    weight[0] += 0.1
    differences = check.check(changed({name: weight}))
    wrong = {name for name, value in differences.items() if value > check.TOLERANCE}
    assert wrong == {name for name in differences if name.startswith("dec_")}


def test_an_index_that_is_off_by_one_is_noticed(changed):
    name = "output/enc_64x64_p8x8_Lfull/indices"
    indices = check.read(TOKENIZER)[2][name].clone()
    indices[0, 0, 0, 0] += 1
    differences = check.check(changed({name: indices}))
    assert [name for name, value in differences.items() if value > check.TOLERANCE] == ["enc_64x64_p8x8_Lfull/indices"]


def test_an_output_that_nothing_covers_is_a_failure(changed):
    differences = check.check(changed({"output/unheard_of": torch.zeros(1)}))
    assert differences["unheard_of"] == float("inf")


def test_another_shape_is_a_difference():
    assert check.difference(torch.zeros(1, 2), torch.zeros(2)) == float("inf")


@pytest.mark.parametrize("broken", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_script_prints_what_it_compared_and_says_by_its_exit_code_whether_all_agree(changed, broken):
    path = changed({"output/unheard_of": torch.zeros(1)}) if broken else TOKENIZER
    done = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=False)
    assert done.returncode == int(broken), done.stderr
    num = len(check.part(check.read(TOKENIZER)[2], "output"))
    assert f"compared {num} of {num + broken} outputs, {int(broken)} differ" in done.stdout
