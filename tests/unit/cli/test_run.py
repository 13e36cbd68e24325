import pytest


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("root: images", "root: nowhere", "data: There is no folder"),
        ("[16x16]", "[20x20]", "evaluate.resolutions[0]: "),
        ("seeds: [0]", "seeds: [0]\npublished: [vibetokn]", "vibetokn"),
    ],
)
def test_what_cannot_work_ends_before_anything_starts(call, edit, folder, old, new, part):
    edit(old, new)
    result = call("run", "small")
    assert result.exit_code == 2
    assert part in result.stderr
    assert not (folder / "runs" / "runs").exists()


def test_run_report_again_and_status(call, edit, folder):
    edit("tokenizer.pos_embed: rope", "tokenizer.pos_embed: grid")  # both arms are one run
    first = call("run", "studies/small.yaml")
    assert first.exit_code == 0, first.stderr
    assert "small: Which positions?" in first.stdout
    assert "1 run for 2 cells, 0 of them done already" in first.stdout
    assert "grid seed 0: done in" in first.stdout
    assert "report: reports/small/index.html" in first.stdout
    page = folder / "reports" / "small" / "index.html"
    assert "Which positions?" in page.read_text()

    again = call("run", "studies/small.yaml")
    assert again.exit_code == 0
    assert "1 of them done already" in again.stdout
    assert "grid seed 0: done already, psnr@16x16" in again.stdout

    assert "done" in call("status").stdout
    checked = call("report", "small", "--check")
    assert checked.exit_code == 0, checked.stderr
    other = call("report", "small@tiny", "--report-dir", "elsewhere")
    assert other.stdout == "report: elsewhere/index.html\n"
    page.with_name("README.md").write_text("old")
    assert call("report", "small", "--check").exit_code == 2
    assert call("report", "small", "--from-data", "--root", "nowhere").exit_code == 0
    assert call("report", "small", "--check").exit_code == 0
