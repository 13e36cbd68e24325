import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from vtbench.errors import StoreError
from vtbench.report.render import check, render, render_study
from vtbench.schema.study import Arm


class _Tags(HTMLParser):
    """Collects tags and checks that they are nested."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text):
        super().__init__()
        self.seen, self._open = [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


@pytest.fixture
def copy(full_report, tmp_path):
    return shutil.copytree(full_report, tmp_path / "copy")


def test_the_html_is_one_well_formed_file(full_report):
    text = (full_report / "index.html").read_text()
    tags = _Tags(text).seen
    assert not [tag for tag, _ in tags if tag in ("script", "link", "iframe")]
    images = [attrs["src"] for tag, attrs in tags if tag == "img"]
    assert len(images) == 4
    assert all(src.startswith("data:image/png;base64,iVBOR") for src in images)
    assert "http" not in text.replace("http-equiv", "")


def test_all_that_a_reader_needs_is_in_both(full_report):
    for name in ("README.md", "index.html"):
        text = (full_report / name).read_text()
        for needed in (
            "Which position embedding lets a 1D tokenizer",
            "Mean image (baseline)",
            "PSNR gain over the mean image",
            "2 × multiply-accumulate, attention included",
            "(not comparable)",
            "1,065.8",
            "What each arm is given",
            "Icons instead of ImageNet",
            "OpenMoji, CC BY-SA 4.0",
            "c0ffee0123",
            "python -m vtbench run studies/pos_embed.yaml --seeds 3",
            "0123456789ab",
            "grid_adaptive-2",
        ):
            assert needed in text, (name, needed)


def test_markdown_tables_are_whole(full_report):
    text = (full_report / "README.md").read_text()
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) == 9
    for table in tables:
        lines = table.splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert set(lines[1]) <= set("|-: ")
    for figure in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (full_report / figure).exists()


def test_rendering_again_needs_no_store_and_changes_nothing(copy, full_report):
    before = {path.relative_to(full_report): path.read_bytes() for path in full_report.rglob("*") if path.is_file()}
    shutil.rmtree(copy / "figures")
    (copy / "README.md").unlink()
    render(copy)
    after = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert after == before


def test_check_finds_a_stale_report(copy):
    check(copy)
    for name in ("README.md", "index.html"):
        kept = (copy / name).read_text()
        (copy / name).write_text(kept.replace("Mean image", "Average image"))
        with pytest.raises(StoreError, match=rf"{name} is stale: run `python -m vtbench report studies/pos_embed"):
            check(copy)
        (copy / name).write_text(kept)
    (copy / "figures" / "picture_grid.png").unlink()
    with pytest.raises(StoreError, match=r"picture_grid\.png is missing"):
        check(copy)


def test_text_is_escaped(synthetic, tmp_path):
    evil = "<script>alert(1)</script>"
    arms = (synthetic.arms[0], Arm(name="evil", title=f"{evil} | a_b *c*", set={"tokenizer.note": evil}))
    store, plan = synthetic.study(tmp_path / "runs", arms=arms, seeds=(0,), published=())
    folder = render_study(store, plan.id, tmp_path / "out").parent
    html, markdown = (folder / "index.html").read_text(), (folder / "README.md").read_text()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | a_b *c*" in html
    assert "<script" not in re.sub(r"`[^`]*`", "", markdown)
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \| a_b \*c\*" in markdown


def test_a_study_without_results_has_a_report(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", leave_out=tuple(synthetic.plan().runs))
    html = render_study(store, plan.id, tmp_path / "out").read_text()
    assert "missing" in html
    assert "<img" not in html


def test_mixed_protocols_are_refused(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,), leave_out=("grid-0",))
    cell = next(cell for cell in plan.cells if cell.run_id == "grid-0")
    synthetic.run(store, plan, cell, values=synthetic.values("grid", 0, protocol="feedfeedfeed"))
    with pytest.raises(StoreError, match=r"0123456789ab.*feedfeedfeed"):
        render_study(store, plan.id, tmp_path / "out")


def test_reports_need_no_torch():
    code = "import sys; from vtbench.report import render, published; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_expectations_and_remarks_stand_under_what_came_out(copy):
    data = json.loads((copy / "data.json").read_text())
    data["plan"]["study"]["expectations"] = [{"arm": "grid_adaptive", "better_than": "rope", "at": "unseen"}]
    data["plan"]["profile"]["remarks"] = "Found <b>later</b>."
    (copy / "data.json").write_text(json.dumps(data))
    render(copy)
    for name, remark in (("README.md", "Found &lt;b&gt;later&lt;/b&gt;."), ("index.html", "Found &lt;b&gt;later")):
        text = (copy / name).read_text()
        assert "Of 1 tested expectation: 1 held." in text
        assert "Dynamic grid + adaptive patch better than RoPE" in text
        assert remark in text
        assert text.index("What came out") < text.index("Expectations") < text.index("Measurements")
