from cairn.errors import Rejection
from cairn.library.rendition import Rendition
from tests.ingestion.parse.conftest import Read, Refuse


def texts(found: Rendition) -> list[str]:
    return [element.text for element in found.elements]


def test_boilerplate_and_hidden_parts_are_removed(read: Read) -> None:
    found = read(
        "<html><head><title>Leave</title><style>p{}</style></head><body><header>Site</header><nav>Menu</nav>"
        "<div role=navigation>Crumbs</div><main><header><h1>Leave</h1></header><p>Take it.</p></main>"
        "<p hidden>unseen</p><p style='display: none'>unseen too</p><aside>Ads</aside>"
        "<footer>Imprint</footer>"
        "<script>alert(1)</script></body></html>",
        "a.html",
    )
    assert (found.title, texts(found)) == ("Leave", ["Leave", "Take it."])


LONG = "<p>Everyone may take leave, and applies for it with the head of department.</p>" * 5


def test_parts_named_as_page_frames_are_removed(read: Read) -> None:
    found = read(
        "<div id='cookie-banner'><p>We use cookies.</p></div><div id=skipLink><a href=#m>Skip</a></div>"
        f"<ul class='main-menu'><li><a href=/a>About</a></li></ul><p>Kept.</p>{LONG}"
        "<div class='social share'><a href=/x>Tell</a></div><section class=pg-boilerplate>Licence</section>",
        "a.html",
    )
    assert texts(found) == [
        "Kept.",
        *["Everyone may take leave, and applies for it with the head of department."] * 5,
    ]


def test_content_is_preserved_despite_its_class_name(read: Read) -> None:
    found = read(
        f"<div class='cookie-policy'><h1>Cookies</h1>{LONG}</div><ul class=menu><li>Soup of the day</li></ul>"
        "<div id=consent><p>Consent is given in writing.</p></div>" + "<p>Short.</p>" * 3,
        "a.html",
    )
    assert {"Cookies", "Soup of the day"} <= set(texts(found))
    page = f"<div class='cookies'>{LONG}</div>"
    assert len(texts(read(page, "a.html"))) == 5


def test_printed_page_marks_are_removed(read: Read) -> None:
    page = "<p>Text of page {0}.</p><p>{0}</p><hr style='page-break-after:always'><p>Annual Report</p>"
    found = read("".join(page.format(number) for number in range(1, 5)) + "<p>Total: 5</p>", "a.html")
    assert texts(found) == [*[f"Text of page {number}." for number in range(1, 5)], "Total: 5"]


def test_number_that_is_not_a_page_number_is_preserved(read: Read) -> None:
    assert texts(read("<p>Answer:</p><p>42</p><hr><p>End</p>", "a.html")) == ["Answer:", "42", "End"]


def test_bold_style_makes_a_heading(read: Read) -> None:
    found = read(
        "<p style='font-weight:bold'>ITEM <span style='font-weight:bold'>1</span></p><p>text</p>"
        "<p><span style='font-weight: 700'>Risks</span></p><p>more</p>"
        "<p style='font-weight:bold'>Note <span style='font-weight:normal'>this</span></p>"
        "<p><b>(as filed)</b></p>",
        "a.html",
    )
    assert [(element.category == "Title", element.section) for element in found.elements] == [
        (True, ()),
        (False, ("ITEM 1",)),
        (True, ()),
        *[(False, ("Risks",))] * 3,
    ]


def test_skipped_media_is_counted(read: Read) -> None:
    found = read(
        "<p>a<img src=a.png alt=Map><img src=b.png><img src=line.png alt=''></p>"
        "<video src=x></video><nav><img></nav>",
        "a.html",
    )
    assert found.report.warnings == ("2 images were skipped.", "1 embedded object was skipped.")


def test_html_metadata_is_read(read: Read) -> None:
    found = read(
        "<html lang=de><head><meta name=Author content=Ada>"
        "<meta property='article:published_time' content=2024-05-01>"
        "</head><p>text</p>",
        "a.html",
    )
    assert found.properties == {"author": "Ada", "date": "2024-05-01", "language": "de"}


def test_footnote_mark_is_separated_from_figures(read: Read) -> None:
    found = read("<p>It is 5<a role=doc-noteref href=#n><sup>1</sup></a> days.</p>", "a.html")
    assert texts(found) == ["It is 5 [1] days."]


def test_hidden_characters_as_entities_are_removed(read: Read) -> None:
    assert texts(read("<p>vis&#xE0041;ib&#x200B;le&#x202E;</p>", "a.html")) == ["visible"]


def test_declared_encoding_is_used(read: Read) -> None:
    page = "<html><meta charset='windows-1253'><p>\u0386\u03b4\u03b5\u03b9\u03b1</p>"
    assert texts(read(page.encode("cp1253"), "a.html")) == ["\u0386\u03b4\u03b5\u03b9\u03b1"]


def test_collapsible_content_is_read(read: Read) -> None:
    found = read(
        "<details><summary>Who?</summary><p>Everyone.</p></details><form><p>Fill in.</p></form>", "a.html"
    )
    assert texts(found) == ["Who?", "Everyone.", "Fill in."]


def test_links_and_images_leave_their_text(read: Read) -> None:
    found = read("<p>See <a href='/x'>the form</a> with <img src=x alt='a signature'> below.</p>", "a.html")
    assert texts(found) == ["See the form with a signature below."]


def test_table_spans_are_expanded(read: Read) -> None:
    table = read(
        "<table><tr><th>Grade<th>Rate</tr><tr><td rowspan=2>GS-7<td>$10</tr><tr><td>$20</tr>"
        "<tr><td colspan=2>All</tr></table>",
        "a.html",
    ).elements[0]
    assert (table.text, table.header_rows) == ("Grade | Rate\nGS-7 | $10\nGS-7 | $20\nAll", 1)


def test_currency_signs_are_joined_with_their_figures(read: Read) -> None:
    found = read(
        "<table><tr><td>Net</td><td>$</td><td>5</td><td></td></tr>"
        "<tr><td>Loss</td><td>(</td><td>3</td><td>)</td></tr></table>",
        "a.html",
    )
    assert texts(found) == ["Net | $ 5\nLoss | (3)"]


def test_layout_table_is_not_read_as_a_table(read: Read) -> None:
    found = read("<table><tr><td><h2>News</h2><p>All well.</p></td></tr></table>", "a.html")
    assert [(element.category, element.section) for element in found.elements] == [
        ("Title", ()),
        ("UncategorizedText", ("News",)),
    ]


def test_line_in_bold_is_a_heading(read: Read) -> None:
    found = read("<h1>A</h1><p><strong>Key points</strong></p><p>text</p><p><b>Note:</b></p>", "a.html")
    assert [element.section for element in found.elements] == [
        (),
        ("A",),
        ("A", "Key points"),
        ("A", "Key points"),
    ]


def test_deep_nesting_preserves_text(read: Read) -> None:
    assert texts(read("<div>" * 1500 + "deep down" + "</div>" * 1500, "a.html")) == ["deep down"]


def test_too_deep_nesting_is_rejected(refuse: Refuse) -> None:
    refuse("<p>above</p>" + "<div>" * 50_000 + "deep down", "a.html", Rejection.DAMAGED_FILE)


def test_external_references_are_not_loaded(read: Read) -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><base href="http://evil.example/">'
        '<link rel=stylesheet href="http://evil.example/a.css"><p>ok &x;</p>'
    )
    assert "root:" not in "".join(texts(read(page, "a.html")))


def test_wrongly_declared_encoding_is_corrected(read: Read) -> None:
    page = '<?xml version="1.0" encoding="utf-16"?><html><meta charset="koi8-r"><p>Straße</p></html>'
    assert texts(read(page, "a.html")) == ["Straße"]


def test_page_without_text_is_rejected(refuse: Refuse) -> None:
    refuse("<html><body><script>x()</script><img src=a.png></body></html>", "a.html", Rejection.NO_TEXT)


def test_overlong_paragraph_is_rejected(refuse: Refuse) -> None:
    refuse("<p>start</p><p>" + "ab " * 700_000 + "</p><p>end</p>", "a.html", Rejection.TOO_LARGE)
