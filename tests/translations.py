"""`make texts`: collects texts of templates, Python and scripts into each language's .po, and compiles it."""

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "web" / "locale"
SCRIPTS = ROOT / "web" / "static"
LANGUAGES = tuple(sorted(folder.name for folder in LOCALE.iterdir() if folder.is_dir()))
SOURCES = ("platform", "retrieval", "ingestion", "web")
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy", "plural"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    "npgettext": ((1, "c"), 2, 3),
}
_STRING = r'("(?:[^"\\\n]|\\.)*")'
_CALL = re.compile(rf"(?<![\w.$])(tn|t)\(\s*{_STRING}(?:,\s*{_STRING})?")
CHANGING = tuple(
    f'"{name}:'
    for name in (
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
Found = tuple[Any, str | None]
"""A text, or those of one and of many; and its context."""


def in_python(path: Path) -> Iterator[Found]:
    yield from _found(extract_python(io.BytesIO(path.read_bytes()), KEYWORDS, [], {}), KEYWORDS)


def in_template(path: Path) -> Iterator[Found]:
    """Convert as Django does for xgettext; in brackets, so that indentation is ignored."""
    shown = f"(\n{templatize(path.read_text(), origin=str(path))}\n)"
    yield from _found(extract_python(io.BytesIO(shown.encode()), KEYWORDS, [], {}), KEYWORDS)


def in_script(path: Path) -> Iterator[Found]:
    """Babel's reader of JavaScript does not see a call within the arguments of another."""
    for name, one, many in _CALL.findall(path.read_text()):
        texts = tuple(json.loads(text) for text in (one, many) if text)
        yield (texts if name == "tn" else texts[0], None)


def _found(rows: Any, keywords: dict[str, Any]) -> Iterator[Found]:
    for _, name, texts, _ in rows:
        given = texts if isinstance(texts, tuple) else (texts,)
        spec = keywords[name] or (1,)
        contexts = [given[each[0] - 1] for each in spec if isinstance(each, tuple)]
        chosen = [given[each - 1] for each in spec if isinstance(each, int) and each <= len(given)]
        if chosen and all(isinstance(text, str) and text for text in chosen):
            yield (tuple(chosen) if len(chosen) > 1 else chosen[0], contexts[0] if contexts else None)


def script_texts() -> list[Found]:
    paths = [path for path in sorted((SCRIPTS / "js").glob("*.js")) if path.name != "i18n.js"]
    return [found for path in paths for found in in_script(path)]


def texts() -> Iterator[Found]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield from in_python(path)
    for path in sorted((ROOT / "web" / "templates").rglob("*.html")):
        yield from in_template(path)
    yield from script_texts()


def template() -> Catalog:
    """Return all texts, untranslated."""
    catalog = Catalog(charset="utf-8")
    for text, context in texts():
        catalog.add(text, context=context)
    return catalog


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """The language's .po, or an empty catalog for a language that has none yet."""
    if not po_path(language).exists():
        return Catalog(locale=language, charset="utf-8")
    with po_path(language).open("rb") as file:
        return read_po(file, locale=language)


def messages(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def collected(language: str) -> Catalog:
    """The .po as it should be: every text of the code, with the translation that it has."""
    catalog = read(language)
    catalog.update(template(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    for message in messages(catalog):
        message.locations = []
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """Return the catalogue without header lines that change by themselves."""
    file = io.BytesIO()
    write_po(file, catalog, width=110, no_location=True, sort_output=True)
    lines = file.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(CHANGING)).encode()


def as_mo(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def as_script(catalog: Catalog) -> str:
    """Return the catalogue that web/static/js/i18n.js uses."""
    found = {}
    for text, context in script_texts():
        one = text[0] if isinstance(text, tuple) else text
        message = catalog.get(text, context)
        if message and message.string and all(_strings(message)):
            found[one] = list(message.string) if message.pluralizable else message.string
    lines = json.dumps(dict(sorted(found.items())), ensure_ascii=False, indent=0, separators=(",", ":"))
    return f"globalThis.cairnCatalog = {lines};\n"


def _strings(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if message.pluralizable else (str(message.string),)


def is_translated(message: Message) -> bool:
    return bool(message.string) and all(_strings(message)) and not message.fuzzy


def compiled(language: str) -> dict[Path, bytes]:
    catalog = read(language)
    return {
        po_path(language).with_suffix(".mo"): as_mo(catalog),
        SCRIPTS / "locale" / f"{language}.js": as_script(catalog).encode(),
    }


def main() -> None:
    for language in LANGUAGES:
        catalog = collected(language)
        po_path(language).write_bytes(as_po(catalog))
        for path, content in compiled(language).items():
            path.write_bytes(content)
        missing = [message for message in messages(catalog) if not is_translated(message)]
        sys.stdout.write(f"{language}: {len(messages(catalog))} texts, {len(missing)} not translated\n")


if __name__ == "__main__":
    main()
