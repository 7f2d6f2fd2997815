"""Links of documents: which are preserved, and which are dropped."""

import io
from pathlib import Path

import pytest
from docx import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.text.paragraph import Paragraph
from fpdf import FPDF

from cairn.library.rendition import Rendition
from tests.ingestion.parse.conftest import Read
from tests.ingestion.parse.test_pdf import form

Links = list[tuple[str, str]]


def links(found: Rendition) -> Links:
    """Return text and target of each link, and check the position of the text."""
    return [
        (element.text[link.start : link.end], link.url)
        for element in found.elements
        for link in element.links
    ]


@pytest.mark.parametrize(
    ("text", "target", "kept"),
    [
        ("https://bank.example/login", "https://evil.example/phish", False),
        ("www.bank.example", "https://evil.example", False),
        ("http://bank.example", "https://www.bank.example/login", True),
        ("WWW.Bank.example/login", "https://bank.example/", True),
        ("node.js", "https://nodejs.example", True),
        ("our bank", "https://bank.example", True),
    ],
)
def test_misleading_link_is_dropped(read: Read, text: str, target: str, kept: bool) -> None:
    assert bool(links(read(f"Please see [{text}]({target}) today.", "a.md"))) is kept


def test_markdown_links_have_offsets(read: Read) -> None:
    found = read(
        "# Travel\n\nA guide to guides: read the [2022\nGuide](https://example.org/guide) first.\n\n"
        "- Book on the [travel *portal*](https://travel.example.org/a?b=1&c=2#d).\n"
        "- Or write to <help@example.org>.\n\n"
        "| City | Form |\n|---|---|\n| Bonn | [Form B](https://example.org/b) |\n| Kiel | Form B |\n",
        "a.md",
    )
    assert links(found) == [
        ("2022 Guide", "https://example.org/guide"),
        ("travel portal", "https://travel.example.org/a?b=1&c=2#d"),
        ("help@example.org", "mailto:help@example.org"),
        ("Form B", "https://example.org/b"),
    ]
    assert [element.text for element in found.elements][1] == "A guide to guides: read the 2022 Guide first."


def test_link_text_is_matched_as_whole_words(read: Read) -> None:
    (element,) = read("Therefore click [here](https://example.org/x).", "a.md").elements
    assert [(link.start, link.end) for link in element.links] == [(16, 20)]


def test_html_links_are_absolute_if_the_page_has_an_address(read: Read) -> None:
    page = '<p>See <a href="../forms/7">Form 7</a> and <a href="#top">above</a>.</p>'
    assert links(read(f"<html><body>{page}</body></html>", "a.html")) == []
    based = f'<html><head><base href="https://example.org/hr/pay/"></head><body>{page}</body></html>'
    assert links(read(based, "a.html")) == [
        ("Form 7", "https://example.org/hr/forms/7"),
        ("above", "https://example.org/hr/pay/#top"),
    ]


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://example.org/1",
        "ftp://example.org/a",
        "https://example.org@evil.example/",
        "https://user:secret@example.org/",
        "https://example.org\\@evil.example/",
        "https://example.org%2f@evil.example/",
        "https:///evil.example",
        "https://exam&#x202e;ple.org/",
        "https://-example.org/",
        "https://example.org:99999/",
        "//evil.example/a",
        "/admin",
        "wiki/page.md",
        "",
        f"https://example.org/{'a' * 2_000}",
        f"https://example.org/{'ä' * 700}",
    ],
)
def test_unsafe_link_targets_are_dropped(read: Read, target: str) -> None:
    escaped = target.replace('"', "&quot;").replace("<", "&lt;")
    kept = '<a href="https://example.org/ok">ours</a>'
    found = read(f'<p>Read <a href="{escaped}">the guide</a> or {kept}.</p>', "a.html")
    assert links(found) == [("ours", "https://example.org/ok")]
    assert [element.text for element in found.elements] == ["Read the guide or ours."]


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("HTTPS://Example.ORG/A b", "https://example.org/A%20b"),
        ("https://ex\u0430mple.org/", "https://xn--exmple-4nf.org/"),
        ("https://straße.example/ä?q=%zz", "https://xn--strae-oqa.example/%C3%A4?q=%25zz"),
        ("https://example.org/%E2%80%AE&#x202e;gpj", "https://example.org/%E2%80%AE%E2%80%AEgpj"),
        ("http://intranet:8080/wiki", "http://intranet:8080/wiki"),
        ("mailto:hr@example.org?bcc=evil@example.com&amp;body=x", "mailto:hr@example.org"),
    ],
)
def test_targets_are_in_ascii(read: Read, target: str, kept: str) -> None:
    found = read(f'<p>Read <a href="{target}">the guide</a> first.</p>', "a.html")
    assert links(found) == [("the guide", kept)]


def test_link_text_has_no_hidden_characters_or_markup(read: Read) -> None:
    found = read(
        '<p>Go to <a href="https://example.org/">moc.\u202eknab\u2069 &lt;img src=x&gt;\u200b</a> now.</p>',
        "a.html",
    )
    assert links(found) == [("moc.knab <img src=x>", "https://example.org/")]


@pytest.mark.slow
def test_links_per_document_are_limited(read: Read) -> None:
    found = read("\n\n".join(f"Go [there](https://example.org/{n})." for n in range(8_000)), "a.md")
    assert len(links(found)) == 5_000
    packed = read(" ".join(f"[x](https://example.org/{n})" for n in range(100_000)), "b.md")
    assert len(links(packed)) == 200


def hyperlink(paragraph: Paragraph, text: str, url: str, *, fragment: str = "") -> None:
    """Appends a link of two runs, as Word writes one when its middle was edited."""
    node = OxmlElement("w:hyperlink")
    node.set(qn("r:id"), paragraph.part.relate_to(url, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    if fragment:
        node.set(qn("w:anchor"), fragment)
    for part in (text[:3], text[3:]):
        run = paragraph.add_run(part)
        node.append(run._r)
    paragraph._p.append(node)


def test_word_links_are_extracted(read: Read) -> None:
    document = Document()
    paragraph = document.add_paragraph("Read the guide, that is the ")
    hyperlink(paragraph, "Travel guide", "https://example.org/guide", fragment="rates")
    paragraph.add_run(" or ")
    hyperlink(paragraph, "the script", "javascript:alert(1)")
    paragraph.add_run(".")
    item = document.add_paragraph("Write to ", style="List Number")
    hyperlink(item, "the desk", "mailto:desk@example.org")
    document.add_table(1, 1).cell(0, 0).text = "A table without links."
    table = document.add_table(2, 2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ["City", "Form", "Bonn", ""], strict=True
    ):
        cell.text = text
    hyperlink(table.cell(1, 1).paragraphs[0], "Form B", "https://example.org/b")
    buffer = io.BytesIO()
    document.save(buffer)
    assert links(read(buffer.getvalue(), "a.docx")) == [
        ("Travel guide", "https://example.org/guide#rates"),
        ("the desk", "mailto:desk@example.org"),
        ("Form B", "https://example.org/b"),
    ]


def test_pdf_links_are_extracted(read: Read) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    pdf.write(6, "Employees read the ")
    pdf.write(6, "Travel guide", link="https://example.org/guide")
    pdf.write(6, " before a business trip and then write a letter to ")
    pdf.write(6, "the travel desk of the company", link="mailto:desk@example.org")
    pdf.write(6, ", not to ")
    pdf.write(6, "anybody", link="javascript:alert(1)")
    pdf.write(6, " else. Thank you.")
    pdf.add_page()
    pdf.write(6, "The end of the Travel guide is on the first page.")
    pdf.link(10, 100, 50, 10, "https://example.org/nothing")
    found = read(bytes(pdf.output()), "a.pdf")
    assert links(found) == [
        ("Travel guide", "https://example.org/guide"),
        ("the travel desk of the company", "mailto:desk@example.org"),
    ]


def test_pdf_form_links_are_extracted(read: Read, tmp_path: Path) -> None:
    """Drawing its values onto the page removes its links."""
    area = "<</Subtype/Link/Rect[48 300 112 318]/A<</S/URI/URI(https://example.org/who)>>>>"
    data = form(tmp_path / "form").read_text().replace("/Annots[5 0 R]", f"/Annots[5 0 R {area}]")
    assert links(read(data, "form.pdf")) == [("Applicant:", "https://example.org/who")]


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "a.rst": "Trips\n=====\n\nRead the `Travel guide <https://example.org/guide>`_ first.\n",
        "a.org": "* Trips\n\nRead the [[https://example.org/guide][Travel guide]] first.\n",
        "a.rtf": r'{\rtf1 Read the {\field{\*\fldinst{HYPERLINK "https://example.org/guide"}}'
        r"{\fldrslt{Travel guide}}} first.\par}",
        "a.eml": "From: a@example.org\nTo: b@example.org\nSubject: Trips\nContent-Type: text/html\n\n"
        '<p>Read the <a href="https://example.org/guide">Travel guide</a> first.</p>\n',
    }.items(),
)
def test_links_of_other_formats_are_extracted(read: Read, name: str, text: str) -> None:
    assert links(read(text, name)) == [("Travel guide", "https://example.org/guide")]
