import subprocess
import sys
import time

import pytest

from vtbench.cost.devices import DEVICE_NAMES, device, roofline_seconds
from vtbench.errors import CostError


def test_named_devices_are_their_data_sheets():
    named = {name: device(name) for name in DEVICE_NAMES if name != "cpu"}
    figures = {name: (row.peak_flops, row.bandwidth_bytes, row.memory_bytes) for name, row in named.items()}
    assert figures == {
        "h100": (989.4e12, 3.35e12, 80e9),
        "h200": (989.4e12, 4.8e12, 141e9),
        "a100": (312e12, 2.039e12, 80e9),
    }
    assert all("data sheet" in row.source for row in named.values())


def test_the_slower_of_arithmetic_and_traffic_decides():
    h100 = device("h100")
    assert roofline_seconds(989.4e12, 3.35e9, h100) == 1
    assert roofline_seconds(989.4e9, 3.35e12, h100) == 1
    assert roofline_seconds(0, 0, h100) == 0


def test_this_machine_is_measured_once():
    started = time.perf_counter()
    cpu = device("cpu")
    assert time.perf_counter() - started < 15  # about two seconds on an idle machine
    assert 1e8 < cpu.peak_flops < 1e15
    assert 1e8 < cpu.bandwidth_bytes < 1e14
    assert cpu.memory_bytes > 2**28
    assert cpu.precision == "fp32"
    assert "measured here" in cpu.source
    assert device("cpu") is cpu


def test_an_unknown_device_names_the_nearest():
    with pytest.raises(CostError, match=r"'h10'.* Did you mean 'h100'"):
        device("h10")


def test_names_are_known_without_torch():
    code = "import sys; from vtbench.cost.devices import device; device('a100'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
