import os

import pytest

from vtbench.launch import slots
from vtbench.launch.slots import MAX_SLOTS, Slot, make_slots, visible_gpus, worker_environment
from vtbench.schema.study import ResourceConfig


@pytest.fixture(autouse=True)
def _six_cores(monkeypatch):
    monkeypatch.setattr(slots, "cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_workers_keep_large_blocks_and_use_all_cores(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "7")
    found = worker_environment(ResourceConfig())
    assert found["OMP_NUM_THREADS"] == "6"
    assert found["MALLOC_MMAP_THRESHOLD_"] == "4294967296"
    assert found["MALLOC_TOP_PAD_"] == "7"


def test_threads_that_a_profile_fixes_stand_above_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert worker_environment(ResourceConfig(num_threads=1))["OMP_NUM_THREADS"] == "1"
    assert worker_environment(ResourceConfig())["OMP_NUM_THREADS"] == "7"


def test_runs_share_the_cores_only_where_their_threads_are_known_or_a_number_is_given():
    assert make_slots(ResourceConfig()) == [Slot(6)]
    assert make_slots(ResourceConfig(num_threads=2)) == [Slot(2)] * 3
    assert len(make_slots(ResourceConfig(num_threads=1))) == MAX_SLOTS
    assert len(make_slots(ResourceConfig(num_threads=8))) == 1
    halves = make_slots(ResourceConfig(), jobs=2)
    assert halves == [Slot(3)] * 2
    assert worker_environment(ResourceConfig(), halves[0])["OMP_NUM_THREADS"] == "3"


def test_each_slot_has_its_own_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,3,5")
    one = make_slots(ResourceConfig(device="cuda", num_gpus=1))
    assert [slot.gpus for slot in one] == [("0",), ("2",), ("3",), ("5",)]
    assert worker_environment(ResourceConfig(device="cuda"), one[1])["CUDA_VISIBLE_DEVICES"] == "2"
    assert [slot.gpus for slot in make_slots(ResourceConfig(device="cuda", num_gpus=2))] == [("0", "2"), ("3", "5")]
    assert len(make_slots(ResourceConfig(device="cuda"), jobs=3)) == 3
    assert len(make_slots(ResourceConfig(device="cuda"), jobs=9)) == 4  # never more at once than there are
    assert len(make_slots(ResourceConfig(device="cuda", num_gpus=8))) == 1


def test_gpus_are_counted_without_torch(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: A (UUID: y)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    assert visible_gpus() == ("0", "1")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert visible_gpus() == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == ()
