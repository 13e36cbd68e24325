import os
import random

import numpy as np
import pytest
import torch

from vtbench.errors import CheckpointError, StoreError
from vtbench.train import checkpoint


def state(value):
    return {"model": {"w": torch.full((50,), float(value))}, "ema": None, "rng": checkpoint.rng_state()}


def test_what_is_saved_is_loaded(tmp_path, same):
    path = checkpoint.save(tmp_path / "checkpoints", 7, state(7))
    assert path == checkpoint.path_of(tmp_path / "checkpoints", 7)
    assert path.name == "step-00000007.pt"
    found = checkpoint.load(path)
    assert found["step"] == 7
    assert same(found["model"], {"w": torch.full((50,), 7.0)})
    assert found["ema"] is None


def test_only_the_last_two_are_kept(tmp_path):
    for step in (3, 20, 100):
        checkpoint.save(tmp_path, step, state(step))
    assert checkpoint.steps(tmp_path) == [20, 100]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020.pt", "step-00000100.pt"]


def test_no_folder_or_an_empty_one_is_no_checkpoint(tmp_path):
    assert checkpoint.load_latest(tmp_path / "none") is None
    assert checkpoint.load_latest(tmp_path) is None
    assert checkpoint.steps(tmp_path / "none") == []


def test_a_leftover_is_ignored_and_removed_by_the_next_save(tmp_path):
    checkpoint.save(tmp_path, 1, state(1))
    with pytest.raises(AttributeError):  # the disk could as well have been full: the write breaks off
        checkpoint.save(tmp_path, 2, {"model": lambda: None})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.pt"]
    (tmp_path / ".step-00000002.pt.1.0a0b.tmp").write_bytes(b"half")  # of a process that was killed
    assert checkpoint.load_latest(tmp_path)["step"] == 1
    checkpoint.save(tmp_path, 2, state(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001.pt", "step-00000002.pt"]


def test_a_checkpoint_never_has_its_name_before_it_is_whole(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor, real=os.fsync):
        synced.append(checkpoint.path_of(tmp_path, 4).exists())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoint.save(tmp_path, 4, state(4))
    assert synced[0] is False


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_of_a_truncated_one_the_one_before_is_used(tmp_path, share):
    checkpoint.save(tmp_path, 1, state(1))
    newest = checkpoint.save(tmp_path, 2, state(2))
    data = newest.read_bytes()
    newest.write_bytes(data[: int(share * len(data))])
    found = checkpoint.load_latest(tmp_path)
    assert found["step"] == 1
    assert found["model"]["w"][0] == 1


def test_a_changed_bit_is_found_and_the_one_before_is_used_with_a_warning(tmp_path, caplog):
    checkpoint.save(tmp_path, 1, state(1))
    newest = checkpoint.save(tmp_path, 2, state(2))
    whole = newest.read_bytes()
    inside = whole.index(torch.full((50,), 2.0).numpy().tobytes())  # the weights themselves, which torch does not check
    for place in (inside + 3, len(whole) // 2, len(whole) - 1):
        data = bytearray(whole)
        data[place] ^= 1
        newest.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"step-00000002\.pt cannot be read \(its checksum"):
            checkpoint.load(newest)
        assert checkpoint.is_broken(newest)
        caplog.clear()
        assert checkpoint.load_latest(tmp_path)["step"] == 1
        assert "Passed over: the checkpoint" in caplog.text
        assert str(newest) in caplog.text
    newest.write_bytes(whole)
    assert checkpoint.load_latest(tmp_path)["step"] == 2
    assert not checkpoint.is_broken(newest)
    assert not checkpoint.is_broken(tmp_path / "none.pt")


def test_a_checkpoint_without_a_checksum_is_of_an_older_version(tmp_path):
    path = checkpoint.path_of(tmp_path, 1)
    torch.save({"step": 1, **state(1)}, path)
    assert checkpoint.load(path)["step"] == 1
    path.write_bytes(b"")
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_torch_reads_a_checkpoint_by_itself(tmp_path):
    path = checkpoint.save(tmp_path, 1, state(1))
    assert torch.load(path, weights_only=True)["step"] == 1


def test_who_goes_back_leaves_nothing_ahead(tmp_path):
    for step in (1, 2, 6):
        checkpoint.save(tmp_path, step, state(step))
    checkpoint.path_of(tmp_path, 6).write_bytes(b"broken")
    checkpoint.save(tmp_path, 3, state(3))
    assert checkpoint.steps(tmp_path) == [2, 3]


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    with pytest.raises(StoreError, match="its folder is gone"):
        checkpoint.save(tmp_path / "run" / "checkpoints", 1, state(1))
    assert not (tmp_path / "run").exists()


def test_if_none_can_be_read_the_message_names_the_newest(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, state(step)).write_bytes(b"no checkpoint")
    with pytest.raises(StoreError, match=r"step-00000002\.pt cannot be read"):
        checkpoint.load_latest(tmp_path)


def test_code_in_a_file_is_never_run(tmp_path):
    path = checkpoint.path_of(tmp_path, 1)
    torch.save({"step": 1, "model": os.getcwd}, path)
    with pytest.raises(StoreError, match="cannot be read"):
        checkpoint.load(path)


def test_the_generators_go_on_where_they_were(tmp_path):
    def draw():
        return np.random.random(), np.random.standard_normal(), torch.rand(1).item(), random.random()

    np.random.standard_normal()  # leaves one value in hand
    python = random.getstate()
    checkpoint.save(tmp_path, 1, {"rng": checkpoint.rng_state()})
    # the type checks of the tests draw from Python's generator themselves
    random.setstate(python)
    wanted = draw()
    assert draw() != wanted
    checkpoint.set_rng_state(checkpoint.load_latest(tmp_path)["rng"])
    assert draw() == wanted


def test_a_steps_state_holds_tensors_and_plain_values_only(tmp_path, make_step, make_batches, same):
    step, batches = make_step(), make_batches()
    for number in range(3):
        step.run(number, batches.batch(number))
    plain = {type(None), bool, int, float, str}

    def kinds(value):
        if isinstance(value, dict):
            return {type(key) for key in value} | {kind for inner in value.values() for kind in kinds(inner)}
        if type(value) in (list, tuple):
            return {kind for inner in value for kind in kinds(inner)}
        return {type(value)}

    wanted = {**step.state_dict(), "rng": checkpoint.rng_state()}
    assert kinds(wanted) - plain <= {torch.Tensor}
    found = torch.load(checkpoint.save(tmp_path, 3, wanted), weights_only=True)
    assert same(found, {"step": 3, **wanted})
