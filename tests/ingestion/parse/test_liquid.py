import pytest

from ingestion.parse.plaintext.liquid import strip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {% if x == 'y' %}b{% endif %} c", "a b c"),
        ("a {{ site.url }} c", "a  c"),
        ("[text]({% page '/leave/' %})", "[text]()"),
        ("press {% key 'Ctrl' %} twice", "press Ctrl twice"),
        ("see {% post_url '2026-01-05-pumps' %}", "see "),
        ("{% assign valve = 'open' %}{% case 'closed' %}{% when 'shut' %}b{% endcase %}", "b"),
        ("{% image '_img/cat.png' 'a sleeping cat' %}", "a sleeping cat"),
        ("{% include 'warning.html' %}text", "text"),
        ("a {%- comment -%} not for readers {%- endcomment -%} b", "a  b"),
        ("{% raw %}write {% page %} so{% endraw %}", "write {% page %} so"),
        ("`{% tag %}` in code", "`` in code"),
        ("# Head {#id}\n{: .class }\ntext", "# Head {#id}\n\ntext"),
        ("* TOC\n{:toc}\ntext", "\ntext"),
        ("an open {% brace", "an open {% brace"),
    ],
)
def test_template_tags_do_not_reach_the_text(text: str, expected: str) -> None:
    assert strip(text, template=True) == expected


@pytest.mark.parametrize("text", ["use `{{ x }}` here", "```\n{% if %}\n```\n", "``a ` {{ b }}``"])
def test_braces_in_code_of_a_plain_file_are_preserved(text: str) -> None:
    assert strip(text, template=False) == text


def test_tags_outside_code_are_removed_from_plain_files() -> None:
    assert strip("a {% include x %}b `{{ c }}`", template=False) == "a b `{{ c }}`"


@pytest.mark.parametrize("piece", ["{%", "{{", "{% raw %}", "`", "{:", "``` "])
def test_unterminated_tags_end_quickly(piece: str) -> None:
    assert isinstance(strip(piece * 20_000, template=True), str)
    assert isinstance(strip(piece * 20_000, template=False), str)
