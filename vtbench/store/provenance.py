"""Which code, packages and machine make a record. Imports nothing of what it reports on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import vtbench
from vtbench.schema.record import Provenance

_CODE = ("vtbench", "studies", "baselines", "pyproject.toml")
"""What decides a result, and is therefore part of the dirty hash; docs, tests and rendered reports are not."""

SNAPSHOT_FILE = "vtbench-snapshot.json"
"""Beside the package in a copy of the code that jobs run: which commit and changes it was copied from."""


def collect(command: str) -> Provenance:
    """Return the provenance of a record that `command` is about to write.

    Everything that cannot be found (no git, no /proc, no nvidia-smi) is left out or None.
    """
    commit, dirty_hash = code_version(Path(vtbench.__file__).resolve().parent.parent)
    return Provenance(
        commit=commit,
        dirty_hash=dirty_hash,
        packages=_packages(),
        hardware=_hardware(),
        command=command,
        started=now(),
    )


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def code_version(checkout: Path) -> tuple[str | None, str | None]:
    """Return the commit of `checkout` and a hash of what differs from it (None if nothing does)."""
    if (snapshot := checkout / SNAPSHOT_FILE).exists():
        found = json.loads(snapshot.read_text())
        return found["commit"], found["dirty_hash"]
    if _git(checkout, "rev-parse", "--show-prefix") != b"\n":
        return None, None  # no git, or a package installed inside somebody else's checkout
    head = _git(checkout, "rev-parse", "--verify", "--quiet", "HEAD")
    against = ["HEAD"] if head else ["--cached"]
    changes = _git(checkout, "diff", "--binary", *against, "--", *_CODE) or b""
    others = _git(checkout, "ls-files", "-z", "--others", "--exclude-standard", "--", *_CODE) or b""
    digest = hashlib.sha256(changes)
    for name in sorted(filter(None, others.split(b"\0"))):
        path = checkout / os.fsdecode(name)
        digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest() if path.is_file() else name)
    dirty = bool(changes or others)
    return (head.decode().strip() if head else None), (digest.hexdigest()[:12] if dirty else None)


def code_files(checkout: Path) -> list[str]:
    """Return the files that decide a result, relative to `checkout`, sorted; changed and new ones included.

    Without git these are the files of the package itself.
    """
    if _git(checkout, "rev-parse", "--show-prefix") == b"\n":
        listed = _git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_CODE) or b""
        names = {os.fsdecode(name) for name in listed.split(b"\0") if name}
    else:
        package = checkout / "vtbench"
        names = {str(path.relative_to(checkout)) for path in package.rglob("*") if "__pycache__" not in path.parts}
    return sorted(name for name in names if (checkout / name).is_file())


def _git(folder: Path, *arguments: str) -> bytes | None:
    return _output("git", "-C", str(folder), *arguments)


def _packages() -> dict[str, str]:
    """Return the versions of what `pyproject.toml` asks for, the `dev` tools left out, and of Python itself."""
    versions = {"python": platform.python_version(), "vtbench": vtbench.__version__}
    try:
        requirements = metadata.requires("vtbench") or []
    except metadata.PackageNotFoundError:
        return versions
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        if name is None or re.search(r"extra\s*==\s*['\"]dev['\"]", requirement):
            continue
        try:
            versions[name[0]] = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            continue
    return versions


def _hardware() -> str:
    """Return one line: CPU, cores that this process may use, memory, GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)") or platform.processor() or platform.machine()
    parts = [model, f"{cores} cores"]
    kilobytes = _first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+) kB")
    if kilobytes:
        parts.append(f"{int(kilobytes) / 2**20:.1f} GiB memory")
    names = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or b""
    counts = Counter(filter(None, names.decode(errors="replace").split("\n")))
    parts += [f"{count} x {name.strip()}" for name, count in counts.items()]
    return ", ".join(parts)


def _first(path: Path, pattern: str) -> str | None:
    """Return the first group of the first match of `pattern` in the file, or None."""
    try:
        found = re.search(pattern, path.read_text())
    except OSError:
        return None
    return found[1].strip() if found else None


def _output(*command: str) -> bytes | None:
    """Return what `command` prints, or None if it is not there, fails, or takes longer than 20 s."""
    if shutil.which(command[0]) is None:
        return None
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
