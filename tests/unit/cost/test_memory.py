import pytest
import torch

from vtbench.cost import memory
from vtbench.cost.memory import peak_memory_bytes, reset_peak_memory

CPU = torch.device("cpu")


def test_the_peak_sees_an_allocation_that_is_gone_again():
    if not reset_peak_memory(CPU):
        pytest.skip("this system cannot reset the peak")
    before = peak_memory_bytes(CPU)
    block = torch.ones(64 * 2**20, dtype=torch.uint8)
    del block
    assert 50 * 2**20 < peak_memory_bytes(CPU) - before < 100 * 2**20
    reset_peak_memory(CPU)
    assert peak_memory_bytes(CPU) - before < 50 * 2**20


def test_without_proc_the_peak_of_the_whole_life_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "missing" / "clear_refs")
    assert not reset_peak_memory(CPU)
    assert 2**20 < peak_memory_bytes(CPU) < 2**40


@pytest.mark.gpu
def test_on_a_gpu_tensors_are_counted():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda")
    assert reset_peak_memory(device)
    before = peak_memory_bytes(device)
    block = torch.ones(64 * 2**20, dtype=torch.uint8, device=device)
    del block
    assert peak_memory_bytes(device) - before >= 64 * 2**20
