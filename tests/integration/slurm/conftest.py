"""A real Slurm on this machine: munged, slurmctld and one slurmd for each node, in a folder of their own.

Nothing of the machine's own Slurm is used or touched: ports, sockets, keys and state belong to the fixture, and the
daemons end with it. Where Slurm is not installed the tests skip and say so; with `VTBENCH_REQUIRE_SLURM=1` that is a
failure.
"""

import contextlib
import ctypes
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time

import pytest
import torch

from vtbench.launch import ledger
from vtbench.launch.attempt import load_attempts
from vtbench.store.query import load_record
from vtbench.train import checkpoint

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
MAX_ARRAY_SIZE = 5
"""So small that a study of a dozen runs needs several arrays."""

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=300
KillWait=10
MinJobAge=60
MaxArraySize={max_array_size}
SchedulerParameters=batch_sched_delay=0,sched_interval=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
{nodes}
PartitionName=main Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:4 MaxTime=60
"""


def _find(program):
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS]))


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG: also if the tests are killed


class Slurm:
    """The cluster; its commands are called with `call`, its daemons ended and started by name."""

    def __init__(self, folder, num_nodes=2):
        self.folder = folder
        self.nodes = [f"node{number}" for number in range(num_nodes)]
        self._daemons = {}
        self._pending_since = {}
        (folder / "state").mkdir()
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (folder / "munge.key").chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        lines = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={_free_port()} CPUs=2 RealMemory=2000"
            for name in self.nodes
        ]
        text = CONFIG.format(
            host=host,
            port=_free_port(),
            user=getpass.getuser(),
            folder=folder,
            max_array_size=MAX_ARRAY_SIZE,
            nodes="\n".join(lines),
        )
        self.config = folder / "slurm.conf"
        self.config.write_text(text)
        self.environment = {"SLURM_CONF": str(self.config)}

    def start(self):
        """Start everything and wait until the nodes take jobs."""
        key, seed = self.folder / "munge.key", self.folder / "munge.seed"
        options = {"key-file": key, "seed-file": seed, "socket": self.folder / "munge.socket"}
        options |= {"pid-file": self.folder / "munged.pid", "log-file": self.folder / "munged.log"}
        self._start("munged", ["--foreground", "--force", *(f"--{name}={path}" for name, path in options.items())])
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.wait_for_nodes()

    def start_controller(self):
        self._start("slurmctld", ["-D"])

    def start_node(self, node):
        self._start("slurmd", ["-D", "-N", node], node)

    def wait_for_nodes(self, seconds=60):
        """Wait until all nodes are up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self._run(["sinfo", "--noheader", "--Node", "--format=%T"])
            states = found.stdout.split()
            up = all(state in ("idle", "mixed", "allocated") for state in states)
            if found.returncode == 0 and len(states) == len(self.nodes) and up:
                return
            time.sleep(0.2)
        raise RuntimeError(f"Slurm did not start: {found.stdout}{found.stderr}{self.logs()}")

    def _start(self, program, arguments, name=None):
        log = (self.folder / f"{name or program}.out").open("ab")
        self._daemons[name or program] = subprocess.Popen(
            [_find(program), *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        log.close()

    def kill(self, name, number=signal.SIGKILL):
        """Kill a daemon: `slurmctld` or a node's."""
        process = self._daemons.pop(name)
        process.send_signal(number)
        process.wait(timeout=30)

    def _run(self, command):
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=60
        )

    def call(self, *command):
        """Run a command and return what it prints."""
        found = self._run(list(command))
        assert found.returncode == 0, f"{command}: {found.stderr}"
        return found.stdout

    def jobs(self):
        """Return {job id: state} of all jobs that are pending or running, an element of an array a job."""
        lines = self.call("squeue", "--noheader", "--array", "--format=%i %T").split("\n")
        return dict(line.split() for line in lines if line)

    def nudge(self):
        """Let requeued jobs start now, which Slurm lets wait for a minute or holds where a node was slow.

        Not within seconds of the requeue: a node refuses a job that starts in the second in which it was killed.
        """
        pending = [job_id for job_id, state in self.jobs().items() if state == "PENDING"]
        self._pending_since = {job_id: self._pending_since.get(job_id, time.monotonic()) for job_id in pending}
        for job_id, since in self._pending_since.items():
            if time.monotonic() - since > 3:
                self._run(["scontrol", "release", job_id])
                self._run(["scontrol", "update", f"JobId={job_id}", "StartTime=now"])

    def cancel_all(self):
        """End all jobs, and wait until they have ended."""
        self._run(["scancel", f"--user={getpass.getuser()}"])
        end = time.monotonic() + 30
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.2)

    def logs(self):
        """Return the ends of the daemons' logs."""
        return "".join(f"\n{path}:\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def stop(self):
        """End all jobs and daemons."""
        if "slurmctld" in self._daemons:
            self._run(["scancel", "--signal=KILL", "--full", f"--user={getpass.getuser()}"])
            self._run(["scancel", f"--user={getpass.getuser()}"])
        for name in ["slurmctld", *self.nodes, "munged"]:
            if process := self._daemons.pop(name, None):
                process.terminate()
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running cluster of two nodes."""
    missing = [program for program in PROGRAMS if _find(program) is None]
    if missing:
        reason = f"Slurm is not installed ({', '.join(missing)} missing): apt-get install slurm-wlm munge"
        if os.environ.get("VTBENCH_REQUIRE_SLURM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    cluster = Slurm(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


RESOURCES = "resources: {num_threads: 1, memory_gb: 1, minutes: MINUTES, cluster: {poll_seconds: 1}}"


def wait_for(condition, seconds=240):
    """Wait until `condition()` is true, and return what it returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


class Site:
    """A folder with a study, a store, and a cluster that takes its runs.

    Attributes:
        place: the folder.
        slurm: the cluster.
    """

    RUN = ("vtbench", "run", "studies/fast.yaml")
    SLURM = (*RUN, "--cluster", "slurm")

    wait_for = staticmethod(wait_for)

    def __init__(self, place, slurm):
        self.place, self.slurm, self.store = place, slurm, place.store
        self.study = place.path / "studies" / "fast.yaml"
        self.edit("cost: seconds}", f"cost: seconds, {RESOURCES}}}")
        self.edit("MINUTES", "5")

    def edit(self, old, new):
        """Replace a piece of the study's text."""
        text = self.study.read_text()
        assert old in text
        self.study.write_text(text.replace(old, new, 1))

    def one_long_run(self, steps=150):
        """Have one run of `steps` steps that saves only when it is asked to, and return its id."""
        self.edit("  rope: {title: RoPE, set: {tokenizer.pos_embed: rope}}\n", "")
        self.edit("steps: 24", f"steps: {steps}")
        self.edit("checkpoint_every: 5", "checkpoint_every: 1000000")

    def start(self, *more):
        """Start `run --cluster slurm` and return the process."""
        return self.place.start(*self.SLURM, *more)

    def finish(self, process=None, *more):
        """Wait until `run --cluster slurm` ends well, starting it unless it is given; return what it prints."""
        process = process or self.start(*more)
        while process.poll() is None:
            self.slurm.nudge()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        output, error = process.communicate()
        assert process.returncode == 0, output + error
        return output

    def run_id(self):
        """Return the id of the one run, as soon as there is a plan."""
        wait_for(self.store.plan_path("fast@tiny").exists)
        (run_id,) = self.place.plan().runs
        return run_id

    def num_logged(self):
        """Return how many steps the one run has logged."""
        path = self.store.log_path(self.run_id())
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def wait_for_step(self, step):
        """Wait until the one run has logged `step` steps."""
        wait_for(lambda: self.num_logged() >= step)

    def submissions(self):
        """Return all submissions, void ones included, oldest first."""
        found = [ledger.load(path) for path in self.store.jobs_dir.glob(f"*/{ledger.FILE}")]
        return sorted(found, key=lambda each: each.created)

    def attempts(self):
        """Return the attempts at the one run, of its newest submission."""
        return load_attempts(self.store, self.submissions()[-1].name, self.run_id())

    def job_id(self):
        """Return the one job of the one run."""
        return self.submissions()[-1].element(self.run_id())


def assert_equal(store, other, run_id):
    """Check that a run came out the same in both stores: every exact value and every weight, bit for bit."""
    assert load_record(store, run_id).outcome() == load_record(other, run_id).outcome()
    assert store.log_path(run_id).read_bytes() == other.log_path(run_id).read_bytes()
    states = [checkpoint.load_latest(each.checkpoint_dir(run_id)) for each in (store, other)]
    assert states[0]["step"] == states[1]["step"]
    for part in ("model", "ema", "loss"):
        assert all(torch.equal(value, states[1][part][name]) for name, value in states[0][part].items()), part


@pytest.fixture
def site(place, slurm, monkeypatch):
    """The study of seconds, on a machine that is a cluster."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.config))
    yield Site(place, slurm)
    # shown where a test fails
    print(slurm.call("squeue", "--all", "--format=%i %j %T %r %N"), slurm.logs())
    slurm.cancel_all()


@pytest.fixture
def long_site(site):
    """The same with one run that takes a while and saves only when it is asked to."""
    site.one_long_run()
    return site


@pytest.fixture(scope="session")
def equal(finished):
    """Check that a run of the study of seconds came out as in an undisturbed local run."""
    return lambda site, run_id: assert_equal(site.store, finished.store, run_id)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, make_place, slurm):
    """The store where the one long run has been made on this machine, undisturbed."""
    place = make_place(tmp_path_factory.mktemp("undisturbed") / "place")
    site = Site(place, slurm)
    site.one_long_run()
    code, _, error = place.call(*Site.RUN)
    assert code == 0, error
    return place.store


@pytest.fixture
def complete(long_site, undisturbed):
    """Check that the one long run is done, in so many submissions, and as if nothing had happened."""

    def complete(num_submissions=1):
        run_id = long_site.run_id()
        assert_equal(long_site.store, undisturbed, run_id)
        assert len([each for each in long_site.submissions() if each.status != "void"]) == num_submissions
        assert long_site.slurm.jobs() == {}
        assert not long_site.store.lock_path(run_id).exists()

    return complete
