"""The input and the output of a batch."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.schema import Endpoint, Param
from app.commands.results import Answered, Results
from app.commands.rows import BadInput, Input, Row

CELLS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def rows(path: Path) -> list[Row]:
    with Input.opened(path) as opened:
        return list(opened.rows())


def columns(path: Path) -> list[str] | None:
    with Input.opened(path) as opened:
        return opened.columns()


def test_csv_gives_texts_by_column(tmp_path: Path) -> None:
    """A byte order mark is dropped, an empty cell is not given, quotes hold commas and newlines."""
    path = write(tmp_path / "in.csv", '\ufeffcity,days\r\nmadrid,3\r\n"san\nsebastian, es",\r\n')
    assert rows(path) == [Row(1, {"city": "madrid", "days": "3"}), Row(2, {"city": "san\nsebastian, es"})]


def test_ndjson_gives_values_by_name(tmp_path: Path) -> None:
    """A byte order mark is dropped, null is not given; empty lines are no rows."""
    path = write(tmp_path / "in.ndjson", '\ufeff{"city": "madrid", "days": 3}\n\n{"city": null}')
    assert rows(path) == [Row(1, {"city": "madrid", "days": 3}), Row(2, {})]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [("a.ndjson", '{"a": 1}\nnonsense\n', ":2:"), ("a.ndjson", "[1]\n", ":1:"), ("a.csv", "a,b\n1,2,3\n", ":2:"), ("a.csv", 'a\n"1\n', ":[0-9]:")],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, name: str, text: str, place: str) -> None:
    """File and line."""
    with pytest.raises(BadInput, match=place):
        rows(write(tmp_path / name, text))


@pytest.mark.parametrize("read", [columns, rows])
def test_csv_that_is_no_utf_8_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    """With what to do about it."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"city\nM\xe1laga\n")
    with pytest.raises(BadInput, match="save it as UTF-8"):
        read(path)


@pytest.mark.parametrize("read", [columns, rows])
def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    """No cell is dropped in silence; columns without a name are no params, and there may be several."""
    with pytest.raises(BadInput, match=r"in\.csv:1: two columns are named 'a'"):
        read(write(tmp_path / "in.csv", "a,b,a\n1,2,3\n"))
    assert rows(write(tmp_path / "in.csv", "a,,\n1,,\n")) == [Row(1, {"a": "1"})]


def test_a_pipe_is_read_as_often_as_a_file() -> None:
    """A pipe gives its bytes once; the input is told by the name that it was given."""
    reads, writes = os.pipe()
    os.write(writes, b'{"a": 1}\n{"a": 2}\n')
    os.close(writes)
    with Input.opened(Path(f"/dev/fd/{reads}")) as opened:
        assert list(opened.rows()) == list(opened.rows()) == [Row(1, {"a": 1}), Row(2, {"a": 2})]
        assert opened.path == Path(f"/dev/fd/{reads}")
    os.close(reads)


def test_an_input_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """By name, with the system's reason."""
    with pytest.raises(BadInput, match=r"none\.csv cannot be read: No such file"):
        rows(tmp_path / "none.csv")


def test_a_cell_may_be_of_any_size(tmp_path: Path) -> None:
    """In the input, and in an output that is read again; Python's own limit is 128 KiB."""
    long = "x" * 200_000
    [row] = rows(write(tmp_path / "in.csv", f"a\n{long}\n"))
    assert row.given == {"a": long}
    for is_known in (False, True):
        with Results.opened(tmp_path / "out.csv", retry_failed=False) as results:
            assert results.has(row) is is_known
            if not is_known:
                results.add(row, Answered(f'"{long}"'.encode(), True, {}))


def test_a_cell_of_a_list_has_commas() -> None:
    """One cell, several values."""
    endpoint = Endpoint(get="/x", params={"stops": Param.model_validate({"in": "query", "type": "array"})})
    assert Row(1, {"stops": "LIS, KEF", "id": "7"}).params(endpoint) == {"stops": ["LIS", "KEF"], "id": "7"}


@pytest.mark.parametrize("name", ["out.ndjson", "out.csv"])
@given(cells=CELLS, cut=st.integers(0, 40))
def test_what_is_written_is_known_again_whatever_was_cut_off(
    tmp_path_factory: pytest.TempPathFactory, name: str, cells: dict[str, str], cut: int
) -> None:
    """A kill in the middle of a line: that row is to run again, the ones before it are done."""
    path = tmp_path_factory.mktemp("results") / name
    first, second = Row(1, cells), Row(2, cells)
    with Results.opened(path, retry_failed=False) as results:
        results.add(first, Answered(b'{"x": "a,\\n"}', True, {}))
        whole = path.stat().st_size
        results.add(second, Answered(error={"status": 502}))
    raw = path.read_bytes()
    path.write_bytes(raw[: max(whole, len(raw) - 1 - cut)])
    with Results.opened(path, retry_failed=False) as results:
        assert results.has(first)
        assert not results.has(second)
        results.add(second, Answered(b"1", True, {}))
    with Results.opened(path, retry_failed=False) as results:
        assert results.has(first)
        assert results.has(second)


def test_failed_rows_run_again_where_asked(tmp_path: Path) -> None:
    """Their old lines go."""
    path = tmp_path / "out.ndjson"
    with Results.opened(path, retry_failed=False) as results:
        results.add(Row(1, {}), Answered(b"1", True, {}))
        results.add(Row(2, {}), Answered(error={"status": 502}))
    with Results.opened(path, retry_failed=True) as results:
        assert set(results.done) == {1}
    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == [1]


@pytest.mark.parametrize("name", ["out.ndjson", "out.csv"])
def test_to_run_failed_rows_again_loses_no_answer_whenever_it_is_killed(tmp_path: Path, name: str) -> None:
    """What was there stays whole until another file takes its place in one step, under its name and with its rights, and locked."""
    path, before, link = tmp_path / name, tmp_path / "before", tmp_path / f"link.{name}"
    with Results.opened(path, retry_failed=False) as results:
        for number in range(1, 4):
            results.add(Row(number, {}), Answered(b"1", True, {}) if number != 2 else Answered(error={"status": 502}))
    raw = path.read_bytes()
    path.chmod(0o640)
    before.hardlink_to(path)
    link.symlink_to(path)
    (tmp_path / f".{name}.retry").write_text("half of a killed run's")
    with Results.opened(link, retry_failed=True) as results:
        assert before.read_bytes() == raw
        assert path.read_bytes() == b"".join(line for line in raw.splitlines(keepends=True) if b"502" not in line)
        results.add(Row(2, {}), Answered(b"1", True, {}))
        with pytest.raises(BadInput, match="another batch"), Results.opened(path, retry_failed=False):
            pass
    with Results.opened(path, retry_failed=False) as results:
        assert set(results.done) == {1, 2, 3}
    assert (link.is_symlink(), stat.S_IMODE(path.stat().st_mode)) == (True, 0o640)
    assert {one.name for one in tmp_path.iterdir()} == {name, before.name, link.name}


def test_another_input_is_noticed(tmp_path: Path) -> None:
    """Row 1 of the output must have been row 1 of the input."""
    path = tmp_path / "out.ndjson"
    with Results.opened(path, retry_failed=False) as results:
        results.add(Row(1, {"a": 1}), Answered(b"1", True, {}))
    with Results.opened(path, retry_failed=False) as results, pytest.raises(BadInput, match="row 1"):
        results.has(Row(1, {"a": 2}))


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    """Nothing is cut off it."""
    path = write(tmp_path / "notes.txt", "dear diary\n")
    with pytest.raises(BadInput, match=":1:"), Results.opened(path, retry_failed=False):
        pass
    assert path.read_text() == "dear diary\n"


FOREIGN = [
    ("notes.txt", "dear diary, no end of a line"), ("mine.ndjson", '{"row": 1, "params": {}}'), ("mine.ndjson", '{"rows'),
    ("mine.ndjson", '{"row":1,"name":"x"}'), ("mine.csv", "city,days"), ("mine.csv", "city,days\nmadrid,3\n"), ("mine.csv", "row,params,x"),
    ("mine.csv", "row,params\n"), ("mine.csv", 'row,params,complete,error,data\n1,"{}\n'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), FOREIGN)
def test_nothing_is_cut_off_a_file_that_does_not_begin_as_ours(tmp_path: Path, name: str, text: str) -> None:
    """Half a line may be the trace of a kill only where we would have written it; it is told what to do."""
    path = write(tmp_path / name, text)
    with pytest.raises(BadInput, match="name another file"), Results.opened(path, retry_failed=False):
        pass
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["out.ndjson", "out.csv"])
def test_a_kill_may_come_at_any_byte(tmp_path: Path, name: str) -> None:
    """In the header and the very first line too."""
    path, row = tmp_path / name, Row(12, {"a": "b"})
    with Results.opened(path, retry_failed=False) as results:
        results.add(row, Answered(b"1", True, {}))
    raw = path.read_bytes()
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        with Results.opened(path, retry_failed=False) as results:
            assert not results.has(row)
            results.add(row, Answered(b"1", True, {}))
        assert path.read_bytes() == raw


@pytest.mark.parametrize("name", ["none/out.ndjson", "."])
def test_an_output_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    """By name, with the system's reason."""
    with pytest.raises(BadInput, match="cannot be written: "), Results.opened(tmp_path / name, retry_failed=False):
        pass


@pytest.mark.parametrize("name", ["/dev/null", "pipe"])
def test_an_output_that_is_no_regular_file_is_refused(tmp_path: Path, name: str) -> None:
    """It could not be read again to go on; a pipe would be waited for without end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match=f"{name} is no regular file"), Results.opened(tmp_path / name, retry_failed=False):
        pass


def test_a_line_that_finds_no_space_is_told(tmp_path: Path) -> None:
    """With the system's reason; what fitted is cut off at the next start."""
    path, before = tmp_path / "out.ndjson", resource.getrlimit(resource.RLIMIT_FSIZE)
    with Results.opened(path, retry_failed=False) as results:
        results.add(Row(1, {}), Answered(b"1", True, {}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            with pytest.raises(BadInput, match=r"out\.ndjson cannot be written: File too large"):
                results.add(Row(2, {}), Answered(b'"%b"' % (b"x" * 200), True, {}))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with Results.opened(path, retry_failed=False) as results:
        assert set(results.done) == {1}


def test_two_batches_do_not_write_to_one_file(tmp_path: Path) -> None:
    """The second is refused."""
    path = tmp_path / "out.ndjson"
    with Results.opened(path, retry_failed=False), pytest.raises(BadInput, match="another batch"), Results.opened(path, retry_failed=False):
        pass


@pytest.mark.parametrize("name", ["out.ndjson", "out.csv"])
def test_integers_of_any_size_stay_as_they_are(tmp_path: Path, name: str) -> None:
    """In the input, in the output, and when the output is read again."""
    [row] = rows(write(tmp_path / "in.ndjson", '{"id": 123456789012345678901234567890}'))
    assert row.given == {"id": 123456789012345678901234567890}
    for is_known in (False, True):
        with Results.opened(tmp_path / name, retry_failed=False) as results:
            assert results.has(row) is is_known
            if not is_known:
                results.add(row, Answered(b"1", True, {}))
    assert "123456789012345678901234567890" in (tmp_path / name).read_text()
