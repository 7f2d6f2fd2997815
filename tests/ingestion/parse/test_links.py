"""Links of documents: what is kept of them, and what is not."""

import pytest

from cairn.library.rendition import Rendition
from tests.ingestion.parse.conftest import Read

Links = list[tuple[str, str]]


def links(found: Rendition) -> Links:
    """Text and target of each link, and that its text is where it says."""
    return [
        (element.text[link.start : link.end], link.url)
        for element in found.elements
        for link in element.links
    ]


def test_links_of_markdown_are_kept_with_their_places(read: Read) -> None:
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


def test_a_link_is_found_as_whole_words(read: Read) -> None:
    (element,) = read("Therefore click [here](https://example.org/x).", "a.md").elements
    assert [(link.start, link.end) for link in element.links] == [(16, 20)]


def test_links_of_html_are_absolute_where_the_page_names_its_address(read: Read) -> None:
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
def test_other_targets_are_dropped_and_the_text_stays(read: Read, target: str) -> None:
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


def test_the_text_of_a_link_has_no_hidden_characters_and_no_markup(read: Read) -> None:
    found = read(
        '<p>Go to <a href="https://example.org/">moc.\u202eknab\u2069 &lt;img src=x&gt;\u200b</a> now.</p>',
        "a.html",
    )
    assert links(found) == [("moc.knab <img src=x>", "https://example.org/")]


def test_a_document_keeps_only_the_first_thousands_of_links(read: Read) -> None:
    found = read("\n\n".join(f"Go [there](https://example.org/{n})." for n in range(8_000)), "a.md")
    assert len(links(found)) == 5_000
    packed = read(" ".join(f"[x](https://example.org/{n})" for n in range(100_000)), "b.md")
    assert len(links(packed)) == 200
