import pytest

from vtbench.errors import StoreError
from vtbench.schema.record import StageRecord
from vtbench.store.outline import load_outlines
from vtbench.store.writer import RunWriter


@pytest.fixture
def written(store, make_spec, provenance, make_value):
    with RunWriter(store, make_spec("a1"), provenance) as writer:
        writer.set_stage(StageRecord(name="train_tokenizer", status="done", steps=10))
        writer.add_metrics([make_value(value=float("nan")), make_value("mae", 2.0)])
        writer.update(status="interrupted")
        return writer.record


def test_an_outline_is_the_record_without_outcomes(store, written):
    store.run_dir("empty").mkdir()
    found = load_outlines(store, ["a1", "empty", "none"])
    assert list(found) == ["a1"]
    outline = found["a1"]
    assert (outline.status, outline.has_trained()) == ("interrupted", True)
    assert [(value.name, value.num_samples, value.params) for value in outline.metrics] == [
        (value.name, value.num_samples, value.params) for value in written.metrics
    ]
    assert outline.stages[0].steps == 10


def test_a_run_that_only_began_has_not_trained(store, make_spec, provenance):
    with RunWriter(store, make_spec("a1"), provenance) as writer:
        assert not load_outlines(store, ["a1"])["a1"].has_trained()
        writer.set_stage(StageRecord(name="train_tokenizer", status="running"))
        assert not load_outlines(store, ["a1"])["a1"].has_trained()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"schema_version": 1', '"schema_version": 9', "has version 9"),
        ('"status": "interrupted"', '"status": "ended"', "status"),
        ("{", "", r"record\.json:2: not JSON"),
    ],
)
def test_a_broken_record_is_named(store, written, old, new, said):
    path = store.record_path("a1")
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StoreError, match=said):
        load_outlines(store, ["a1"])
