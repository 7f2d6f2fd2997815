"""The stylesheet uses tokens, and they have enough contrast."""

import gzip
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

TOKEN_BLOCKS: Final = (":root", "[data-contrast]")
COLOUR: Final = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|oklch|color)\(")
SIZED: Final = re.compile(r"^(?:font-size|border-radius|gap|row-gap|column-gap|padding|margin)(?:-[a-z-]+)?$")
ABSOLUTE: Final = re.compile(r"(?<![\w-])-?\d*\.?\d+(?:rem|px)\b")
TIMED: Final = re.compile(r"(?<![\w-])\d*\.?\d+m?s\b")
SIDED: Final = re.compile(r"^(?:left|right|(?:margin|padding|border)-(?:left|right)(?:-.*)?)$")
GROUNDS: Final = ("ground", "surface", "raised", "sunken")
TEXT: Final = (
    *product(("ink", "ink-2", "ink-3"), GROUNDS),
    *product(("ink", "ink-2"), ("hover",)),
    *product(("accent", "accent-strong", "bad", "warn"), ("ground", "surface", "raised")),
    ("accent-strong", "accent-soft"), ("ink", "accent-soft"), ("on-accent", "accent"),
    ("on-accent", "accent-strong"), ("warn", "warn-soft"), ("bad", "bad-soft"), ("ink", "lichen"),
    ("ground", "ink"),
)  # fmt: skip
"""Text, and what it stands on."""
LINES: Final = (*product(("line-strong", "accent"), GROUNDS), ("bad", "raised"))
"""Borders of fields and buttons, the ring of the focus, icons."""


def stylesheet() -> str:
    return re.sub(r"/\*.*?\*/", "", Path(str(finders.find("css/cairn.css"))).read_text(), flags=re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    """Return selector and declarations of each rule, including nested ones in @media."""
    for found in re.finditer(r"([^{}]+)\{([^{}]*)\}", stylesheet()):
        yield found[1].strip(), found[2]


def declarations() -> Iterator[tuple[str, str, str]]:
    for selector, body in blocks():
        for each in body.split(";"):
            name, _, value = each.partition(":")
            if value:
                yield selector, name.strip(), value.strip()


def tokens(selector: str) -> dict[str, str]:
    return {
        name.removeprefix("--"): value
        for found, name, value in declarations()
        if found == selector and name.startswith("--")
    }


def rules() -> list[tuple[str, str, str]]:
    return [each for each in declarations() if not each[1].startswith("--")]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palette(*, scheme: int, strong: bool) -> dict[str, str]:
    """Colours by name; scheme 0 is light, 1 dark."""
    named = tokens(":root") | (tokens("[data-contrast]") if strong else {})
    pairs = {name: re.fullmatch(r"light-dark\((#\w{6}), (#\w{6})\)", value) for name, value in named.items()}
    return {name: pair[scheme + 1] for name, pair in pairs.items() if pair}


def test_contrast_of_two_colours() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("strong", [False, True], ids=["", "high contrast"])
def test_every_pair_of_colours_has_enough_contrast(scheme: int, strong: bool) -> None:
    colours = palette(scheme=scheme, strong=strong)
    wanted = [
        *((pair, 7.0 if strong else 4.5) for pair in TEXT),
        *((pair, 4.5 if strong else 3.0) for pair in LINES),
    ]
    low = [
        f"{one} on {other}: {contrast(colours[one], colours[other]):.2f}, wanted {least}"
        for (one, other), least in wanted
        if contrast(colours[one], colours[other]) < least
    ]
    assert not low, "\n".join(low)


def test_high_contrast_redefines_every_colour() -> None:
    coloured = {name for name, value in tokens(":root").items() if value.startswith("light-dark(#")}
    assert coloured <= set(tokens("[data-contrast]"))


def test_style_rules_use_only_colour_tokens() -> None:
    assert [each for each in rules() if COLOUR.search(each[2])] == []
    assert {selector for selector, name, value in declarations() if COLOUR.search(value)} <= set(TOKEN_BLOCKS)


def test_style_rules_use_only_size_and_time_tokens() -> None:
    """Lengths in em follow the text, and a line is 1px; all other space is a token."""
    found = [
        (selector, name, value)
        for selector, name, value in rules()
        if (SIZED.match(name) and ABSOLUTE.search(value))
        or (name in {"transition", "animation"} and TIMED.search(value))
    ]
    assert [each for each in found if each[0] != ".visually-hidden"] == []


def test_every_used_style_token_is_defined() -> None:
    known = {f"--{name}" for selector in TOKEN_BLOCKS for name in tokens(selector)}
    used = set(re.findall(r"var\((--[\w-]+)", stylesheet()))
    assert used - known == set()


def test_style_rules_use_logical_properties() -> None:
    """Right-to-left pages are mirrored: only logical properties know where a line starts."""
    assert [each for each in rules() if SIDED.match(each[1])] == []
    assert [each for each in rules() if each[1] == "text-align" and each[2] in {"left", "right"}] == []


ENTRIES: Final = ("theme", "shell", "i18n")
"""On every page, beside what the page itself is for."""


def scripts() -> dict[str, Path]:
    folder = Path(str(finders.find("js/shell.js"))).parent
    return {path.stem: path for path in folder.glob("*.js")}


def loaded(name: str, known: dict[str, Path]) -> set[str]:
    """The script, and all that it imports."""
    imported = re.findall(r'(?:from|import) "\./([\w-]+)\.js"', known[name].read_text())
    return {name}.union(*(loaded(each, known) for each in imported))


def test_labels_of_stacked_tables_leave_the_colon_to_the_stylesheet() -> None:
    labels = [
        label
        for template in Path("web/templates").rglob("*.html")
        for label in re.findall(r'<td[^>]*?data-label="\{% translate "([^"]*)"', template.read_text())
    ]
    assert len(labels) > 40
    assert not [label for label in labels if label.endswith(":")]


def test_no_page_loads_many_scripts() -> None:
    known = scripts()
    for name in known:
        wanted = loaded(name, known).union(*(loaded(each, known) for each in ENTRIES))
        size = sum(len(gzip.compress(known[each].read_bytes())) for each in wanted)
        assert size < 60_000, f"a page with {name}.js loads {size} bytes, compressed"


def test_styles_and_scripts_are_compressed(client: Client) -> None:
    for name in ("css/cairn.css", "js/chat.js"):
        response = client.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
        assert (response["Content-Encoding"], response["Vary"]) == ("gzip", "Accept-Encoding")
        known = (Path("web/static") / name).read_bytes()
        assert gzip.decompress(b"".join(response)) == known
        assert b"".join(client.get(f"/static/{name}")) == known


def test_fonts_are_self_hosted_and_cached(client: Client) -> None:
    """Fonts of the two faces are loaded first, and never asked for again."""
    sheet = stylesheet()
    named = set(re.findall(r'url\("\.\./fonts/([^"]+)"\)', sheet))
    folder = Path(str(finders.find("css/cairn.css"))).parent.parent / "fonts"
    assert named == {path.name for path in folder.glob("*.woff2")}
    assert sheet.count("@font-face") == sheet.count("font-display: swap") == len(named) == 8
    for name in named:
        response = client.get(f"/static/fonts/{name}")
        assert response["Content-Type"] == "font/woff2"
        assert "immutable" in response["Cache-Control"]
        assert b"".join(response).startswith(b"wOF2")
    assert "immutable" not in client.get("/static/css/cairn.css")["Cache-Control"]
    assert {path.name for path in folder.glob("*LICENSE.txt")} == {
        f"{name.partition('-latin')[0]}-LICENSE.txt" for name in named if "-latin." in name
    }
    preloaded = re.findall(
        r'rel="preload" as="font"[^>]*/static/fonts/([^"]+)', client.get("/login").content.decode()
    )
    assert set(preloaded) == {name for name in named if "-latin." in name}
    assert sum((folder / name).stat().st_size for name in preloaded) < 110_000


def test_csp_allows_only_own_fonts(client: Client) -> None:
    assert "font-src 'self'" in client.get("/login")["Content-Security-Policy"]
