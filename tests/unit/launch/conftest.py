"""Programs in the place of Slurm's, which say what a test wants: only for what a real Slurm says seldom."""

import shutil

import pytest


class FakeSlurm:
    """A folder of programs that comes first in `PATH`; each call is a line of `calls`."""

    def __init__(self, folder):
        self.folder = folder
        self._log = folder / "calls"
        for name in ("sbatch", "squeue", "scontrol", "sacct", "scancel", "srun"):
            self.says(name, "")

    def says(self, name, text, code=0, error="", before=":"):
        """Have a program do `before`, print `text` and `error`, and end with `code`."""
        path = self.folder / name
        path.write_text(
            f'#!/bin/bash\necho {name} "$@" >> {self._log}\n{before}\n'
            f"cat <<'END'\n{text}\nEND\n[ -z '{error}' ] || echo '{error}' >&2\nexit {code}\n"
        )
        path.chmod(0o755)

    def lacks(self, name):
        """Remove a program."""
        (self.folder / name).unlink()

    @property
    def calls(self):
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch):
    """Programs called as Slurm's are; `PATH` has no others of these names."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("bash", "cat", "git"):
        (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(folder))
    return FakeSlurm(folder)
