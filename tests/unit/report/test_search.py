import pytest

from vtbench.errors import StoreError
from vtbench.launch.search import SearchRequest, run_search
from vtbench.report.search import check, render, render_search


def test_a_report_is_a_function_of_its_data(make_search, store, answer, tmp_path):
    run_search(store, SearchRequest(study=make_search(), profile="tiny"), answer)
    out = tmp_path / "out"
    assert render_search(store, "small_search@tiny", out) == out / "index.html"
    before = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {"README.md", "index.html", "data.json", "search_history.png", "search_slices.png"} <= before.keys()
    render(out)
    assert {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    text = before["README.md"].decode()
    for heading in ("## What came out", "## Best trials", "## All trials", "## History of the search", "## Provenance"):
        assert heading in text
    assert "NaN" not in text
    check(out)
    (out / "README.md").write_text(text.replace("5 of 5", "3 of 5"))
    with pytest.raises(StoreError, match="stale"):
        check(out)
