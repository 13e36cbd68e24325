import re
import shutil
import subprocess
import sys

import pytest

from vtbench.errors import StoreError
from vtbench.report.cost_study import check, render


@pytest.fixture
def copy(cost_report, tmp_path):
    return shutil.copytree(cost_report, tmp_path / "copy")


def test_all_that_a_reader_needs_is_in_both(cost_report):
    for name in ("README.md", "index.html"):
        text = (cost_report / name).read_text()
        for needed in (
            "What do three &lt;tokenizers&gt; cost?",
            "RoPE &amp; co",
            "GFLOPs (hook_no_mha)",
            "As multiples of Dynamic grid",
            "2 x multiply-accumulate of every matrix product, attention included",
            "c0ffee0123",
            "torch 2.15.0",
            "a counter",
            "1.0000 where they agree least",
        ):
            assert needed in text, (name, needed)
        assert "numpy 2.4.6" not in text
    html = (cost_report / "index.html").read_text()
    assert html.count("data:image/png;base64,iVBOR") == 2
    assert not re.search(r"<(script|link|iframe)|https?://", html)


def test_markdown_tables_are_whole(cost_report):
    text = (cost_report / "README.md").read_text()
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) == 8
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_rendering_again_changes_nothing(copy, cost_report):
    before = {path.relative_to(cost_report): path.read_bytes() for path in cost_report.rglob("*") if path.is_file()}
    (copy / "README.md").unlink()
    render(copy)
    assert {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_check_finds_a_stale_report(copy):
    check(copy)
    data = (copy / "data.json").read_text()
    (copy / "data.json").write_text(data.replace("three <tokenizers>", "four tokenizers"))
    with pytest.raises(StoreError, match=r"README\.md is stale: run `python -m vtbench run studies/small_cost\.yaml`"):
        check(copy)


def test_reports_need_no_torch():
    code = "import sys; from vtbench.report import cost_study; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
