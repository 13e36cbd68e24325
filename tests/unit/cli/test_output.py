import pytest

from vtbench.cli.output import count, duration, plain_table, say, show_table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (3 * 86400, "3.0 d")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(12, "12"), (56_300_000, "56.3M"), (1.2e12, "1.2T"), (2e15, "2P")])
def test_count(number, text):
    assert count(number) == text


def test_text_is_printed_as_it_is(capsys):
    text = "[red]" + "x" * 300 + " :smile: 1.5"
    say(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_table_in_a_pipe_keeps_its_columns(capsys):
    show_table("title", ["name", "value"], [["a[0]", "1"], ["b", "22"]], numeric=["value"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "title"
    assert any(line.split() == ["a[0]", "1"] for line in lines)
    assert len({len(line) for line in lines if line.endswith(("1", "22"))}) == 1


def test_a_long_table_is_plain_text(capsys):
    rows = [[f"a{n}", str(n)] for n in range(300)]
    show_table("title", ["name", "value"], rows, numeric=["value"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["title", "name  value"]
    assert lines[-1] == "a299    299"
    assert plain_table("t", ["name"], [["x"]]) == ["t", "name", "────", "x"]
