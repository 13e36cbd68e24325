"""Two processes that run the same few lines."""

import os
import socket
import subprocess
import sys

import pytest


@pytest.fixture
def start_two(tmp_path):
    """Start `python -c CODE` as the two processes of a run; what is left running is killed at the end."""
    started = []

    def start_two(code):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        for rank in (0, 1):
            variables = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_PORT": port}
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
            started.append(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    cwd=tmp_path,
                    env={**environment, **{name: str(value) for name, value in variables.items()}},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return started

    yield start_two
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
