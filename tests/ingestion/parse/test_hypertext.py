from cairn.errors import Rejection
from cairn.library.rendition import Rendition
from tests.ingestion.parse.conftest import Read, Refuse


def texts(found: Rendition) -> list[str]:
    return [element.text for element in found.elements]


def test_boilerplate_and_hidden_parts_go(read: Read) -> None:
    found = read(
        "<html><head><title>Leave</title><style>p{}</style></head><body><header>Site</header><nav>Menu</nav>"
        "<div role=navigation>Crumbs</div><main><header><h1>Leave</h1></header><p>Take it.</p></main>"
        "<p hidden>unseen</p><p style='display: none'>unseen too</p><aside>Ads</aside>"
        "<footer>Imprint</footer>"
        "<script>alert(1)</script></body></html>",
        "a.html",
    )
    assert (found.title, texts(found)) == ("Leave", ["Leave", "Take it."])


def test_what_folds_out_is_content(read: Read) -> None:
    found = read(
        "<details><summary>Who?</summary><p>Everyone.</p></details><form><p>Fill in.</p></form>", "a.html"
    )
    assert texts(found) == ["Who?", "Everyone.", "Fill in."]


def test_links_and_pictures_leave_their_words_in_the_sentence(read: Read) -> None:
    found = read("<p>See <a href='/x'>the form</a> with <img src=x alt='a signature'> below.</p>", "a.html")
    assert texts(found) == ["See the form with a signature below."]


def test_spans_of_a_table_are_written_out(read: Read) -> None:
    table = read(
        "<table><tr><th>Grade<th>Rate</tr><tr><td rowspan=2>GS-7<td>$10</tr><tr><td>$20</tr>"
        "<tr><td colspan=2>All</tr></table>",
        "a.html",
    ).elements[0]
    assert (table.text, table.header_rows) == ("Grade | Rate\nGS-7 | $10\nGS-7 | $20\nAll", 1)


def test_signs_in_columns_of_their_own_join_their_figures(read: Read) -> None:
    found = read(
        "<table><tr><td>Net</td><td>$</td><td>5</td><td></td></tr>"
        "<tr><td>Loss</td><td>(</td><td>3</td><td>)</td></tr></table>",
        "a.html",
    )
    assert texts(found) == ["Net | $ 5\nLoss | (3)"]


def test_tables_that_only_place_things_are_no_tables(read: Read) -> None:
    found = read("<table><tr><td><h2>News</h2><p>All well.</p></td></tr></table>", "a.html")
    assert [(element.category, element.section) for element in found.elements] == [
        ("Title", ()),
        ("UncategorizedText", ("News",)),
    ]


def test_a_line_in_bold_is_a_heading(read: Read) -> None:
    found = read("<h1>A</h1><p><strong>Key points</strong></p><p>text</p><p><b>Note:</b></p>", "a.html")
    assert [element.section for element in found.elements] == [
        (),
        ("A",),
        ("A", "Key points"),
        ("A", "Key points"),
    ]


def test_deep_nesting_keeps_the_text(read: Read) -> None:
    assert texts(read("<div>" * 1500 + "deep down" + "</div>" * 1500, "a.html")) == ["deep down"]


def test_what_is_nested_too_deep_to_be_read_is_not_half_read(refuse: Refuse) -> None:
    refuse("<p>above</p>" + "<div>" * 50_000 + "deep down", "a.html", Rejection.DAMAGED_FILE)


def test_nothing_outside_is_followed(read: Read) -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><base href="http://evil.example/">'
        '<link rel=stylesheet href="http://evil.example/a.css"><p>ok &x;</p>'
    )
    assert "root:" not in "".join(texts(read(page, "a.html")))


def test_an_encoding_that_the_page_declares_wrongly_does_no_harm(read: Read) -> None:
    page = '<?xml version="1.0" encoding="utf-16"?><html><meta charset="koi8-r"><p>Straße</p></html>'
    assert texts(read(page, "a.html")) == ["Straße"]


def test_a_page_without_text_is_refused(refuse: Refuse) -> None:
    refuse("<html><body><script>x()</script><img src=a.png></body></html>", "a.html", Rejection.NO_TEXT)


def test_a_paragraph_too_long_to_be_read_is_not_lost_in_silence(refuse: Refuse) -> None:
    refuse("<p>start</p><p>" + "ab " * 700_000 + "</p><p>end</p>", "a.html", Rejection.TOO_LARGE)
