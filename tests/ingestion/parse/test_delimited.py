from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.parse.sheets import csv_files


def read(folder: Path, content: str | bytes) -> Rendition:
    path = folder / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return csv_files.parse(path, Limits())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected(tmp_path: Path, delimiter: str) -> None:
    rows = [["name", "size, in m"], ["a", "1"], ["b", "2"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    table = read(tmp_path, text).elements[0]
    assert (table.text, table.header_rows) == ("name | size, in m\na | 1\nb | 2", 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Time;X;Y\n0,1;1,2;3,4\n0,2;1,3;3,5\n0,3;1,4;3,6\n", "Time | X | Y\n0,1 | 1,2 | 3,4"),
        ("0,1;1,2\n0,2;1,3\n", "0,1 | 1,2\n0,2 | 1,3"),
        ("Who;Paid\nKoch, Eva;1,5\nRoth, Jan;2,5\n", "Who | Paid\nKoch, Eva | 1,5"),
        ('"a, b";"c, d, e"\n"f, g";"h, ""i"", j"\n', 'a, b | c, d, e\nf, g | h, "i", j'),
    ],
)
def test_decimal_commas_are_not_delimiters(tmp_path: Path, text: str, shown: str) -> None:
    assert read(tmp_path, text).elements[0].text.startswith(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('n,"x; y"\n1,"a; b"\n2,"c; d"\n', "n | x; y\n1 | a; b"),
        ("a,x|y,1,2\nb,x|z,3,4\n", "a | x|y | 1 | 2"),
        ('n,remark\n1,"one\ntwo; three"\n', "n | remark\n1 | one two; three"),
    ],
)
def test_other_characters_are_not_delimiters_in_comma_separated_cells(
    tmp_path: Path, text: str, shown: str
) -> None:
    assert read(tmp_path, text).elements[0].text.startswith(shown)


def test_row_beyond_the_sample_does_not_affect_the_delimiter(tmp_path: Path) -> None:
    rows = [f"{number},{'1' * 3_000};{number},5" for number in range(9)]
    assert read(tmp_path, "\n".join(rows)).elements[0].text.split("\n")[0].endswith("1 | 0,5")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Roth, Jan\tTime\nKoch, Eva\n0,1\t1,2\n", "Roth, Jan | Time\nKoch, Eva\n0,1 | 1,2"),
        ("a;b\n1,2;3\n", "a | b\n1,2 | 3"),
    ],
)
def test_tsv_file_name_selects_tabs(pool: ParserPool, tmp_path: Path, text: str, shown: str) -> None:
    path = tmp_path / "upload"
    path.write_text(text)
    assert pool.parse(path, "table.tsv", limits=Limits()).rendition.elements[0].text == shown


def test_ragged_rows_and_line_breaks_in_cells(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n1\n2,"x\ny",3\n,,\n').elements[0].text == "a | b\n1\n2 | x y | 3"


def test_each_block_of_rows_has_the_header(tmp_path: Path) -> None:
    found = read(tmp_path, "n\n" + "\n".join(map(str, range(120)))).elements
    assert [len(table.text.split("\n")) for table in found] == [51, 51, 21]
    assert {table.text.split("\n")[0] for table in found} == {"n"}


def test_unclosed_quote_does_not_swallow_rows(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n"open,1\n2,3\n').elements[0].text == 'a | b\n"open | 1\n2 | 3'


def test_formulas_are_text(tmp_path: Path) -> None:
    assert "=HYPERLINK" in read(tmp_path, 'n,v\n"=HYPERLINK(""http://x"")",1\n').elements[0].text


def test_utf_16_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n1,2\n".encode("utf-16")).elements[0].text == "a | b\n1 | 2"


def test_header_without_rows_is_text_and_blank_rows_are_ignored(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n").elements[0].header_rows == 0
    with pytest.raises(DocumentRejected) as caught:
        read(tmp_path, ",,\n,,\n")
    assert caught.value.reason is Rejection.NO_TEXT
