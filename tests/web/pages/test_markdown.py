"""Text of models and documents is rendered only as harmless HTML."""

import random
import re
from html.parser import HTMLParser

import pytest

from web.presentation.markdown import _PARSER, LONGEST, render_markdown

LABELS = {1: 'Source 1: "Rules" <b>', 2: "Source 2: Leave"}
BLOCKS = {"blockquote", "br", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "ul"}
INLINE = {"a", "button", "code", "em", "mark", "s", "span", "strong"}
ALLOWED = BLOCKS | INLINE | {"table", "tbody", "td", "th", "thead", "tr"}


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>body{background:url(https://evil.example/x)}</style>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<button class="cite" data-marker="1" onclick="alert(1)">1</button>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "<javascript:alert(1)>",
    '[x](https://ok.example "onmouseover=alert(1) x=\'")',
    "![pixel](https://evil.example/p.png)",
    "![pixel][1]\n\n[1]: https://evil.example/p.png",
    "[![pixel](https://evil.example/p.png)](https://evil.example)",
    "[1](javascript:alert(1))",
    "```html\n<script>alert(1)</script>\n```",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=y> |",
    "a\x00b <scr\x00ipt>alert(1)</scr\x00ipt>",
    "\ud800<script>alert(1)</script>",
    "<<script>script>alert(1)<</script>/script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_gives_no_active_elements(text: str) -> None:
    for tag, attributes in Tags(render_markdown(text, LABELS)).found:
        assert tag in ALLOWED
        assert not [name for name in attributes if name.startswith(("on", "style", "src"))]
        href = attributes.get("href")
        assert href is None or href.startswith(("http://", "https://", "mailto:"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[" * LONGEST,
        ">" * LONGEST,
        "*a " * LONGEST,
        "![" * LONGEST,
        "- " * LONGEST,
        "`" * LONGEST,
        "[](" * LONGEST,
    ],
)
def test_deeply_nested_markdown_gives_shallow_html(text: str) -> None:
    html = render_markdown(text)
    depth = deepest = 0
    for closing in re.findall(r"<(/?)(?:blockquote|ul|ol|em|strong|li)\b", html):
        depth += -1 if closing else 1
        deepest = max(deepest, depth)
    assert deepest <= 60


def test_html_tags_in_markdown_are_escaped() -> None:
    """A citation's button cannot be forged either."""
    html = render_markdown('<button class="cite" data-marker="2">2</button> <b>bold</b>', LABELS)
    assert not [tag for tag, _ in Tags(html).found if tag != "p"]
    assert "&lt;button" in html


def test_long_markdown_is_cut() -> None:
    assert len(render_markdown("a" * (LONGEST * 3))) < LONGEST * 2


GUIDE = "https://ok.example/guide"
LINKS = {
    1: [("Travel guide", GUIDE), ("mail us", "mailto:hr@ok.example")],
    2: [("here", "https://ok.example/2")],
}


def linked(text: str) -> list[str]:
    return re.findall(r'<a href="[^"]*"[^>]*>(.*?)</a>', render_markdown(text, LABELS, LINKS))


def test_cited_link_text_becomes_a_link() -> None:
    html = render_markdown("See the Travel guide. [1]", LABELS, LINKS)
    (tag, attributes), host = Tags(html).found[1:3]
    assert tag == "a"
    assert attributes == {"href": GUIDE, "target": "_blank", "rel": "nofollow noopener noreferrer"}
    assert host == ("span", {"class": "link-host"})
    assert '>Travel guide</a> <span class="link-host">(ok.example)</span>. <button' in html


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "See the **Travel guide** or mail us. [1]": ["Travel guide", "mail us"],
        "Read the Travel guide, and look here. [1][2]": ["Travel guide", "here"],
        "Look here. [1]": [],
        "See the Travel guide. Then ask. [1]": [],
        "See the Travel guide. [2] Ask. [1]": [],
        "Ask. [1] See the Travel guide.": [],
        "See the Travel guide. [?] Ask. [1]": [],
        "See the Travel guide. [3] ask [1]": [],
        "See the Travel guide.\n\nAsk. [1]": [],
        "See the Travel guide.\n\n[1]": [],
        "There they ask. [2]": [],
        "See the Travel guides, the `Travel guide`. [1]": [],
        "> See the Travel guide. Then ask. [1]": ["Travel guide"],
        "> - See the Travel guide.\n> - Then ask. [1]": ["Travel guide"],
        "> | a | b |\n> |---|---|\n> | Travel guide | 4 |\n\n[1]": ["Travel guide"],
        "> See the Travel guide.\n\nThen ask. [1]": [],
        "| a | b |\n|---|---|\n| Travel guide | 4 |\n| 5 | mail us [1] |": ["mail us"],
        "- The Travel guide. [1]\n- The Travel guide. [2]": ["Travel guide"],
    }.items(),
)
def test_only_text_before_a_citation_is_linked(text: str, words: list[str]) -> None:
    assert linked(text) == words


def test_text_with_two_targets_is_not_linked() -> None:
    links = {1: [("here", GUIDE)], 2: [("here", "https://other.example/")]}
    assert "href" not in render_markdown("Look here. [1][2]", LABELS, links)
    assert "href" in render_markdown("Look here. [1]", LABELS, links)


def test_links_of_a_model_are_text() -> None:
    for text in (
        "[x](https://evil.example/a)",
        "<https://evil.example/a>",
        "[Travel guide](https://evil.example)",
    ):
        assert "href" not in render_markdown(text, LABELS, LINKS)
    html = render_markdown("[Travel guide](https://evil.example) [x](/logout) [1]", LABELS, LINKS)
    assert re.findall(r'href="([^"]*)"', html) == [GUIDE]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "/logout", "//evil.example", "x:y"]
)
def test_unsafe_link_target_is_not_rendered(url: str) -> None:
    assert "href" not in render_markdown("See here. [1]", LABELS, {1: [("here", url)]})


def test_link_text_is_escaped() -> None:
    words = '<img src=x onerror=alert(1)>"'
    html = render_markdown(f"See \\{words}. [1]", LABELS, {1: [(words, GUIDE)]})
    assert {tag for tag, _ in Tags(html).found} == {"p", "a", "span", "button"}


def test_image_is_replaced_by_its_description() -> None:
    assert render_markdown("![a map](https://evil.example/p.png)") == "<p>a map</p>\n"


def test_marker_with_a_citation_is_a_button() -> None:
    html = render_markdown("Yes [1][2].", LABELS)
    buttons = [attributes for tag, attributes in Tags(html).found if tag == "button"]
    assert [button["data-marker"] for button in buttons] == ["1", "2"]
    assert buttons[0]["aria-label"] == LABELS[1]
    assert buttons[0]["type"] == "button"


@pytest.mark.parametrize("text", ["Yes [3].", "Yes [0].", "`[1]`", "```\n[1]\n```", "Yes \\[1]."])
def test_other_brackets_are_plain_text(text: str) -> None:
    assert "<button" not in render_markdown(text, LABELS)


def test_link_definition_does_not_turn_markers_into_links() -> None:
    html = render_markdown("Yes [1].\n\n[1]: https://evil.example", LABELS)
    assert "href" not in html
    assert html.count("<button") == 2


KEPT = {
    "**a**": "strong",
    "*a*": "em",
    "- a": "ul",
    "1. a": "ol",
    "> a": "blockquote",
    "|a|\n|-|\n|b|": "table",
}


@pytest.mark.parametrize(("text", "tag"), KEPT.items())
def test_common_markdown_is_preserved(text: str, tag: str) -> None:
    assert f"<{tag}>" in render_markdown(text)


def test_mark_of_an_unsupported_sentence_is_shown() -> None:
    html = render_markdown("Employees earn 25 days. [1] Mallory pays. [?]", {1: "Passage 1"})
    assert html.count('<mark class="unsupported-mark"') == 1
    assert "[?]" not in html
    assert "<mark" not in render_markdown("\\[?] <mark>x</mark>", {})


UNDERLINED = {
    "First. [1] Mallory **pays** all. [?] More. [1]": ["Mallory <strong>pays</strong> all."],
    "*One* of\ntwo. [?]\nAnd `three`. [?]": ["<em>One</em> of\ntwo.", "And <code>three</code>."],
    "- a [1]\n- **Bold. [?]** Tail. [?]": ["Bold.", "Tail."],
    "a | b\n-|-\nx [?] | y": ["x"],
    "[?] First. [1] [?]": [],
    "**First. [1]** [?]": [],
    "`[?]` <mark>x</mark>": [],
}


@pytest.mark.parametrize(("text", "words"), UNDERLINED.items())
def test_unsupported_text_is_underlined(text: str, words: list[str]) -> None:
    html = render_markdown(text, {1: "Passage 1"})
    assert re.findall(r'<mark class="unsupported-words">(.*?)</mark>', html, re.DOTALL) == words


def test_cited_text_is_not_underlined_without_citation_labels() -> None:
    html = render_markdown("Cited. [1] Invented. [?] Cited. [2] This, too. [?]")
    assert re.findall(r'<mark class="unsupported-words">(.*?)</mark>', html) == ["Invented.", "This, too."]
    assert "Cited. [1] <mark" in html


def test_underlining_closes_tags_correctly() -> None:
    """Checked before the sanitizer repairs them."""
    parts = (
        "**",
        "*",
        "`",
        "~~",
        "[?]",
        "[1]",
        " word",
        ". ",
        "\n",
        "> ",
        "[a](https://example.org)",
        "here",
    )
    chance = random.Random(5)
    for _ in range(500):
        text = "".join(chance.choices(parts, k=12))
        assert _well_formed(_PARSER.render(text, {"labels": {1: "Passage 1"}, "links": {1: LINKS[2]}})), text


def _well_formed(html: str) -> bool:
    open_tags: list[str] = []
    for closing, tag in re.findall(r"<(/?)([a-z0-9]+)", html):
        if tag in {"br", "hr"}:
            continue
        if not closing:
            open_tags.append(tag)
        elif not open_tags or open_tags.pop() != tag:
            return False
    return not open_tags
