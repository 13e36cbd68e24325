from vtbench.report.published import published
from vtbench.schema.study import Arm
from vtbench.study.baselines import load_baseline

GOOD = """
name: other
title: Another system
architecture: a network
figures:
  - {row: Second, metric: rfid, value: 1.5, protocol: p, source: s, comparable: true, why: w}
  - {row: First, metric: rfid, value: 2, protocol: p, source: s, comparable: true, why: w}
"""


def test_the_ablation_is_as_published_and_with_honest_totals():
    table = published(load_baseline("vibetoken"), ())
    assert table.rows == (
        ("RoPE", "2.93", "280.7", "299", "1,065.8"),
        ("Learnable RoPE", "1.54", "93.5", "445", "1,065.8"),
        ("Dynamic grid", "1.71", "131.2", "299", "1,065.8"),
        ("Dynamic grid + adaptive patch", "1.37", "5.4", "90", "189.5"),
    )
    assert table.title.endswith("(not comparable)")
    assert "ImageNet" in table.notes[0]
    assert any("nn.MultiheadAttention skipped" in note for note in table.notes)


def test_rows_stand_in_the_order_of_the_arms(tmp_path):
    (tmp_path / "other.yaml").write_text(GOOD)
    arms = (Arm(name="first", title="1st", set={}), Arm(name="b", title="second", set={}))
    table = published(load_baseline("other", tmp_path), arms)
    assert [row[0] for row in table.rows] == ["First", "Second"]
    assert table.title == "Published: Another system"
