import pytest

from vtbench.schema.record import RunError
from vtbench.store.failure import Cause, classify, group, last_lines, signature_of


def error(kind, message):
    return RunError(kind=kind, message=message, stage="train_tokenizer")


@pytest.mark.parametrize(
    ("kind", "message", "cause"),
    [
        ("OutOfMemoryError", "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", Cause.OUT_OF_MEMORY),
        (
            "RuntimeError",
            "RuntimeError: DefaultCPUAllocator: can't allocate memory",
            Cause.OUT_OF_MEMORY,
        ),
        ("RuntimeError", "RuntimeError: Watchdog caught collective operation timeout: WorkNCCL(...)", Cause.TIME_OUT),
        ("RuntimeError", "RuntimeError: CUDA error: uncorrectable ECC error encountered", Cause.NODE),
        ("DataError", "this profile runs on 'cuda', and torch sees no CUDA device", Cause.NODE),
        ("RegistryError", "The metric 'x' needs the package 'y', which is not installed.", Cause.IMPORT),
        ("ModuleNotFoundError", "ModuleNotFoundError: No module named 'timm'", Cause.IMPORT),
        ("DataError", "a.png: cannot be read", Cause.BAD_DATA),
        ("UnidentifiedImageError", "UnidentifiedImageError: x", Cause.BAD_DATA),
        ("NonFiniteLossError", "training broke at step 7: loss = nan.", Cause.NAN),
        ("OSError", "OSError: [Errno 28] No space left on device: '/data/x'", Cause.DISK_FULL),
        ("StoreError", "x: Disk quota exceeded", Cause.DISK_FULL),
        ("KeyboardInterrupt", "KeyboardInterrupt: ", Cause.CANCELLED),
        ("AssertionError", "AssertionError: 3 != 4", Cause.OTHER),
    ],
)
def test_the_recorded_error_has_the_cause(kind, message, cause):
    assert classify(error(kind, message), ["CUDA out of memory", "no module named x"]).cause == cause


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (
            ["Traceback", "slurmstepd: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***"],
            Cause.TIME_OUT,
        ),
        (["slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 ***", ""], Cause.CANCELLED),
        (["slurmstepd: error: Detected 1 oom_kill event in StepId=7.0."], Cause.OUT_OF_MEMORY),
        (["step 3", "Killed"], Cause.OUT_OF_MEMORY),
        (["ImportError: libcudart.so.13: cannot open shared object file", "srun: error: exit 1"], Cause.IMPORT),
        (["*** JOB 7 ON n1 CANCELLED AT 2026 DUE TO NODE FAILURE ***"], Cause.NODE),
        (["PIL.UnidentifiedImageError: cannot identify image file 'x.png'"], Cause.BAD_DATA),
        (["all is well"], Cause.OTHER),
        ([], Cause.OTHER),
    ],
)
def test_a_process_that_was_killed_is_judged_by_its_log(lines, cause):
    found = classify(None, lines)
    assert found.cause == cause
    assert found.last_lines == tuple(line for line in lines if line)


def test_the_reason_is_the_line_that_tells():
    lines = ["ImportError: no x", "srun: error: n1: task 0: Exited with exit code 1"]
    assert classify(None, lines).reason == "ImportError: no x"
    assert classify(None, ["one", "two"]).reason == "two"
    assert classify(None).reason == "ended without a word"
    assert classify(error("StoreError", "first\nsecond")).reason == "first"


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ("TIMEOUT", Cause.TIME_OUT),
        ("NODE_FAIL", Cause.NODE),
        ("OUT_OF_MEMORY", Cause.OUT_OF_MEMORY),
        ("CANCELLED by 0", Cause.CANCELLED),
        ("PREEMPTED", Cause.CANCELLED),
        ("ended at its time limit before it could save", Cause.TIME_OUT),
        ("the node failed", Cause.NODE),
        ("cancelled", Cause.CANCELLED),
        ("FAILED", Cause.OTHER),
    ],
)
def test_the_batch_systems_word_counts_before_the_log(ending, cause):
    found = classify(None, ["step 3"], ending)
    assert found.cause == cause
    assert found.reason == ("step 3" if ending == "FAILED" else f"{ending}: step 3")


def test_a_recorded_error_counts_before_a_cancelled_job():
    assert classify(error("NonFiniteLossError", "NaN"), [], "CANCELLED").cause == Cause.NAN
    assert classify(error("RuntimeError", "x"), [], "TIMEOUT").cause == Cause.TIME_OUT


def test_signatures_leave_out_what_differs_from_run_to_run():
    one = "run 0123456789ab: 12 of 384 images in /data/a/b.png, loss = 1.5e-3 at step 700"
    two = "run ba9876543210: 7 of 1,000 images in /tmp/c/d.png, loss = -2 at step 3"
    assert signature_of(one) == signature_of(two) == "run HASH: N of N images in PATH, loss = N at step N"
    assert signature_of("fp16 has no x in float32") == "fp16 has no x in float32"


def test_failures_are_grouped_by_cause_and_signature():
    failures = {
        "a": classify(error("ValueError", "4 is odd")),
        "b": classify(error("OutOfMemoryError", "CUDA out of memory: 2 GiB")),
        "c": classify(error("ValueError", "x")),
        "d": classify(error("ValueError", "x")),
        "e": classify(error("OutOfMemoryError", "CUDA out of memory: 3 GiB")),
    }
    found = group(failures)
    assert [(one.cause, one.run_ids) for one in found] == [
        (Cause.OUT_OF_MEMORY, ("b", "e")),
        (Cause.OTHER, ("c", "d")),
        (Cause.OTHER, ("a",)),
    ]
    assert found[0].signature == "OutOfMemoryError: CUDA out of memory: N GiB"
    assert found[0].example is failures["b"]
    assert group({}) == []


def test_last_lines(tmp_path):
    path = tmp_path / "log"
    assert last_lines(path) == []
    path.write_bytes(b"")
    assert last_lines(path) == []
    path.write_bytes(b"one\n\n 10%\r 50%\r100%\nlast \xff")
    assert last_lines(path) == ["one", "", "100%", "last \ufffd"]
    assert last_lines(path, 10) == ["last \ufffd"]
