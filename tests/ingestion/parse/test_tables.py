from lxml import html

from ingestion.parse import tables


def read(source: str) -> tuple[str, int]:
    return tables.read(html.fragment_fromstring(source))


def test_a_table_of_heads_only_has_no_header() -> None:
    assert read("<table><tr><th>a</th><th>b</th></tr></table>") == ("a | b", 0)


def test_a_caption_is_part_of_the_header() -> None:
    source = "<table><caption>Rates</caption><thead><tr><td>a</td></tr></thead><tr><td>1</td></tr></table>"
    assert read(source) == ("Rates\na\n1", 2)


def test_row_heads_do_not_make_a_header() -> None:
    assert read("<table><tr><th>a</th><td>1</td></tr><tr><th>b</th><td>2</td></tr></table>") == (
        "a | 1\nb | 2",
        0,
    )


def test_empty_columns_go_and_empty_cells_stay() -> None:
    source = "<table><tr><td>a<td><td>b<td>c</tr><tr><td>d<td><td><td>e</tr></table>"
    assert read(source) == ("a | b | c\nd |  | e", 0)


def test_huge_spans_are_bounded() -> None:
    text, _ = read('<table><tr><td colspan="999999999" rowspan="99999">a</td><td>b</td></tr></table>')
    assert text.replace(" |", "") == "a b"
