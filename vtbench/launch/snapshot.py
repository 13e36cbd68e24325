"""A copy of the code that jobs run, so that editing the tree never changes a job that waits or goes on.

The copy holds what decides a result (the package, `studies`, `baselines`): the files of the commit with all changes
that are not committed. It lies under a hash of its content, so that submitting the same code again copies nothing;
`vtbench-snapshot.json` keeps commit and hash of the changes for the records.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path

import vtbench
from vtbench.errors import LaunchError
from vtbench.store.layout import Store
from vtbench.store.provenance import SNAPSHOT_FILE, code_files, code_version


def take_snapshot(store: Store) -> Path:
    """Copy the running code into the store, unless it is there, and return the folder, absolute.

    Raises:
        LaunchError: the code cannot be copied.
    """
    source = Path(vtbench.__file__).resolve().parent.parent
    if (source / SNAPSHOT_FILE).exists():
        return source  # this process runs a snapshot itself
    try:
        return _copy(source, store.snapshots_dir.resolve())
    except OSError as error:
        raise LaunchError(
            f"{store.snapshots_dir}: the code cannot be copied there ({error.strerror}: {error.filename}). Jobs run a"
            " copy, so that later changes do not reach them; make room, or choose another --root."
        ) from error


def _copy(source: Path, folder: Path) -> Path:
    files = code_files(source)
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + b"\0" + hashlib.sha256((source / name).read_bytes()).digest())
    commit, dirty_hash = code_version(source)
    digest.update(f"{commit} {dirty_hash}".encode())
    target = folder / digest.hexdigest()[:12]
    if target.exists():
        return target
    temporary = folder / f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        for name in files:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, temporary / name)
        (temporary / SNAPSHOT_FILE).write_text(json.dumps({"commit": commit, "dirty_hash": dirty_hash}) + "\n")
        try:
            temporary.rename(target)
        except OSError:
            if not target.exists():  # another controller may have been faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
