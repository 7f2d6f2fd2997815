import pytest

from ingestion.parse.plaintext.front_matter import split_front_matter


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("---\ntitle: Leave\n---\nBody", "Leave", "Body"),
        ('---\nlayout: x\ntitle: "Leave: how"\n---\nBody', "Leave: how", "Body"),
        ("---\ntitle: >-\n  Long\n  title\nx: 1\n---\nBody", "Long title", "Body"),
        ("---\ntitle: Long\n  title\n---\nBody", "Long title", "Body"),
        ("---\ntitle: Leave # a draft\n---\nBody", "Leave", "Body"),
        ('---\n"Title": "caf\\u00e9 \\"Zum Wirt\\""\n---\nBody', 'café "Zum Wirt"', "Body"),
        ("---\ntitle: 2026\n---\nBody", "2026", "Body"),
        ("---\nlayout: page\n...\nBody", None, "Body"),
        ("---\n---\nBody", None, "Body"),
        ("---\ntitle: [a, b]\n---\nBody", None, "Body"),
        ("---\nmenu:\n  title: Menu\n---\nBody", None, "Body"),
        ('+++\ntitle = "Leave"\n+++\nBody', "Leave", "Body"),
        ('+++\ntitle = """\nLong\ntitle"""\n[menu]\ntitle = "x"\n+++\nBody', "Long title", "Body"),
        ("+++\ntitle = Leave\n+++\nBody", None, "Body"),
        ("---\ntitle: Leave\ndescription: Note: read this\n---\nBody", "Leave", "Body"),
        ('---\nsummary: @todo\nTitle: "Release 2"\n---\nBody', "Release 2", "Body"),
    ],
)
def test_front_matter_is_separated_from_the_body(text: str, title: str | None, body: str) -> None:
    assert split_front_matter(text) == (title, body, True)


@pytest.mark.parametrize(
    "text",
    [
        "Body",
        "---\nnever closed: yes",
        "---\n\nA rule above\n\n---\nBody",
        "---\nWelcome\n=======\n\nIntro\n\n---\nBody",
        "---\nTerm\n: definition\n---\nBody",
        f"---\na{' ' * 100_000}b\n---\nBody",
    ],
)
def test_text_without_front_matter_is_unchanged(text: str) -> None:
    assert split_front_matter(text) == (None, text, False)


def _aliases() -> str:
    levels = ["a0: &a0 {x: y}", *(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 20}]" for i in range(1, 20))]
    merges = ["m0: &m0 {x: y}", *(f"m{i}: &m{i}\n  <<: [{f'*m{i - 1}, ' * 20}]" for i in range(1, 20))]
    return "\n".join([*levels, *merges])


@pytest.mark.parametrize(
    "block",
    [
        "a: !!python/object/apply:os.system [true]",
        "title: {" * 1_000,
        "x: " + "[" * 50_000,
        _aliases() + "\ntitle: [*a19, *m19]",
        "x: " + "y" * 100_000,
    ],
)
def test_hostile_front_matter_loses_only_its_title(block: str) -> None:
    assert split_front_matter(f"---\n{block}\n---\nBody") == (None, "Body", True)
