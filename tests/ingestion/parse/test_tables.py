import pytest
from lxml import html

from ingestion.parse.core import html_tables


def read(source: str) -> tuple[str, int]:
    return html_tables.read(html.fragment_fromstring(source))


def test_table_with_only_header_cells_has_no_header_row() -> None:
    assert read("<table><tr><th>a</th><th>b</th></tr></table>") == ("a | b", 0)


def test_table_caption_is_part_of_the_header() -> None:
    source = "<table><caption>Rates</caption><thead><tr><td>a</td></tr></thead><tr><td>1</td></tr></table>"
    assert read(source) == ("Rates\na\n1", 2)


def test_row_headers_are_not_a_header_row() -> None:
    assert read("<table><tr><th>a</th><td>1</td></tr><tr><th>b</th><td>2</td></tr></table>") == (
        "a | 1\nb | 2",
        0,
    )


def test_empty_columns_are_removed_and_empty_cells_preserved() -> None:
    source = "<table><tr><td>a<td><td>b<td>c</tr><tr><td>d<td><td><td>e</tr></table>"
    assert read(source) == ("a | b | c\nd |  | e", 0)


def test_huge_spans_are_bounded() -> None:
    text, _ = read('<table><tr><td colspan="999999999" rowspan="99999">a</td><td>b</td></tr></table>')
    assert text.replace(" |", "") == "a b"


def unmarked(*rows: str) -> str:
    lines = ("<td>".join(["", *row.split("|")]) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (["|2021|2020", "Revenue|$ 19,984|$ 10,230", "Costs|(80)|—"], 1),
        (["Assets|2021|2020", "Current assets:", "Cash|16|5", "Stock|7|6"], 1),
        (["|Quarter", "Ended|High|Low", "March 31|3.02|1.72"], 2),
        (["City|Rate", "Bonn|28", "Kiel|30"], 1),
        (["Part I", "Business|4", "Risks|9"], 0),
        (["Name|Ada", "Room|7", "Role|Boss", "Team|Travel"], 0),
        (["Signature|Title", "Ada|Director"], 0),
        (["2021|27", "2022|28"], 0),
    ],
)
def test_unmarked_header_above_figures_is_recognised(rows: list[str], header: int) -> None:
    """Few programs that save web pages mark it."""
    assert read(unmarked(*rows))[1] == header


def test_marked_header_overrules_the_guess() -> None:
    source = "<table><tr><th>City<th>Rate</tr><tr><td>in|<td>EUR</tr><tr><td>Bonn<td>28</tr></table>"
    assert read(source)[1] == 1
