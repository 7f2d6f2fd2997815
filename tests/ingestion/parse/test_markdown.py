from cairn.errors import Rejection
from tests.ingestion.parse.conftest import Read, Refuse


def test_headings_open_sections(read: Read) -> None:
    found = read("Intro\n\n# One\n\naa\n\n## Two\n\nbb\n\n# Three\n\ncc\n", "a.md")
    sections = {element.text: element.section for element in found.elements if element.category != "Title"}
    assert sections == {"Intro": (), "aa": ("One",), "bb": ("One", "Two"), "cc": ("Three",)}


def test_title_comes_from_front_matter_or_the_first_heading(read: Read) -> None:
    assert read("---\ntitle: Get <em>set</em> up\n---\n# Other\n\ntext", "a.md").title == "Get set up"
    assert read("text\n\n## First\n\ntext", "a.md").title == "First"
    assert read("text alone", "a.md").title is None


def test_front_matter_without_a_body_has_no_text(refuse: Refuse) -> None:
    error = refuse("---\ntitle: Nothing\n---\n\n", "a.md", Rejection.NO_TEXT)
    assert "front matter" in error.message


def test_template_markup_does_not_reach_the_elements(read: Read) -> None:
    found = read("---\nlayout: x\n---\n{% alert 'Careful' %}\nMind the {{ gap }}.\n{% endalert %}\n", "a.md")
    assert [element.text for element in found.elements] == ["Careful Mind the ."]


def test_table_has_a_line_for_each_row(read: Read) -> None:
    found = read("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | `x` y |\n", "a.md").elements
    assert [(table.category, table.text, table.header_rows) for table in found] == [
        ("Table", "a | b\n1 | 2\n3 | x y", 1)
    ]


def test_code_preserves_its_lines(read: Read) -> None:
    code = read("```python\ndef f():\n    return 1\n```\n", "a.md").elements[0]
    assert (code.category, code.text) == ("CodeSnippet", "def f():\n    return 1")


def test_list_items_preserve_numbers_and_kind(read: Read) -> None:
    found = read("Do:\n\n3. one\n4. two\n\n    more of two\n\n- loose\n\n- list\n", "a.md").elements
    assert [(element.category, element.text) for element in found[1:]] == [
        ("ListItem", "3. one"),
        ("ListItem", "4. two"),
        ("UncategorizedText", "more of two"),
        ("ListItem", "loose"),
        ("ListItem", "list"),
    ]


def test_raw_html_is_read_and_scripts_are_not(read: Read) -> None:
    found = read(
        "<details><summary>More</summary>\n\nhidden *text*\n\n</details>\n<script>x()</script>", "a.md"
    )
    assert [element.text for element in found.elements] == ["More", "hidden text"]


def test_placeholders_stay(read: Read) -> None:
    found = read(
        "Open https://a.example/<team-name>/new as <your name>.\n\n<Project>\n\nend", "a.md"
    ).elements
    assert [element.text for element in found] == [
        "Open https://a.example/<team-name>/new as <your name>.",
        "<Project>",
        "end",
    ]


def test_html_elements_are_not_placeholders(read: Read) -> None:
    found = read(
        "<Card>aa <b>bb</b><br>cc</Card> <wbr> <x-y class='z'>dd\n\n<Tabs>\n\nee\n\n</Tabs>",
        "a.md",
    )
    text = " ".join(element.text for element in found.elements)
    assert text.split() == ["aa", "bb", "cc", "dd", "ee"]


def test_parsing_is_deterministic(read: Read) -> None:
    text = "# A\n\nb\n\n- c\n- d\n\n| e |\n|---|\n| f |\n"
    assert read(text, "a.md") == read(text, "a.md")
