import pytest

from vtbench.errors import StoreError
from vtbench.report.page import Page, code, html_rows, markdown, markdown_rows
from vtbench.report.plots.style import Drawing, new_figure
from vtbench.report.tables import Column, Table


@pytest.fixture
def page(cost_report):
    """The page of a cost report, with one drawing more."""
    from vtbench.report.cost_study import _page

    made = _page(cost_report)
    extra = Drawing(new_figure(2, 1), "Nothing", "An empty figure.")
    return Page(
        template=made.template,
        context=made.context,
        command=made.command,
        drawings={**made.drawings, "extra": extra},
    )


def test_a_page_is_written_whole_and_old_figures_go(page, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.png").write_bytes(b"")
    assert page.write(tmp_path) == tmp_path / "index.html"
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == set(page.drawings)
    assert "An empty figure." in (tmp_path / "README.md").read_text()
    assert (tmp_path / "index.html").read_text().count("data:image/png;base64,iVBOR") == len(page.drawings)
    page.check(tmp_path)


def test_what_is_stale(page, tmp_path):
    page.write(tmp_path)
    (tmp_path / "figures" / "extra.png").unlink()
    with pytest.raises(StoreError, match=r"extra\.png is missing: run `python -m vtbench run"):
        page.check(tmp_path)
    (tmp_path / "index.html").write_text("old")
    with pytest.raises(StoreError, match=r"index\.html is stale"):
        page.check(tmp_path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("_x_ a_b", r"\_x\_ a_b"),
        ("[1, 2] *", r"\[1, 2\] \*"),
        ("two\nlines", "two lines"),
        ("1.5\u00a0 ± 2", "1.5 ± 2"),
        ("a`b\\~|", r"a\`b\\\~\|"),
    ],
)
def test_markdown_shows_plain_text(text, shown):
    assert markdown(text) == shown


def test_code_stands_in_a_table():
    assert code("a `b`\n|") == r"`a 'b' \|`"


TABLE = Table(
    "t",
    (Column("Arm", numeric=False), Column("Value"), Column("Verdict", numeric=False)),
    (("a & b", "1.5", "<better>"), ("c|d", "missing", "–")),
    marked=frozenset({(0, 1)}),
)


def test_rows_as_markdown():
    assert markdown_rows(TABLE) == "| a &amp; b | **1.5** | &lt;better&gt; |\n| c\\|d | missing | – |"


def test_rows_as_html():
    first = '<tr><th scope="row">a &amp; b</th><td class="number"><strong>1.5</strong></td>'
    assert html_rows(TABLE).split("\n") == [
        f'{first}<td class="text">&lt;better&gt;</td></tr>',
        '<tr><th scope="row">c|d</th><td class="number missing">missing</td><td class="text">–</td></tr>',
    ]
