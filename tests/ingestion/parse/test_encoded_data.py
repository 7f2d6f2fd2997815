"""Encoded data and minified code are left out and reported; whatever people write stays."""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

import pytest

from cairn.errors import Rejection
from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage
from ingestion.parse.core import encoded_data
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import TEXT, RenditionBuilder
from tests.ingestion.parse.conftest import ROOT, Read, Refuse

SETS = ROOT / "tests" / "evaluation" / "sets"
BYTES = random.Random(7).randbytes(6000)
BASE64 = base64.encodebytes(BYTES).decode()
HEX = BYTES.hex().upper()
HEX_LINES = "\n".join(wrap(HEX, 72))
SENTENCE = "Employees get 25 days of leave a year."
JAVASCRIPT = (
    "function e(t,n){var r=t[n];if(!r)return null;for(var i=0,o=r.length;i<o;i++){if(r[i]===n)return i}"
    "return-1}"
    '!function(t){"use strict";var a={};t.each(["x","y"],function(u,s){a[s]=function(){return this.get(u)}})}'
    "(q);"
)
STYLES = ".a{color:#fff;margin:0 auto}.b>li{padding:2px 4px;border:1px solid rgba(0,0,0,.1)}.c:hover{top:0}"


def dump(width: int, *, shows_text: bool) -> str:
    """Format bytes like `hexdump -C` (width 2) or `xxd` (width 4)."""
    lines = []
    for at in range(0, len(BYTES), 16):
        row = BYTES[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        groups = " ".join(wrap(row.hex(), width))
        lines.append(f"{at:08x}: {groups}" + (f"  |{shown}|" if shows_text else ""))
    return "\n".join(lines)


ENCODED = {
    "base64": BASE64,
    "base64 of one line": base64.b64encode(BYTES).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(BYTES).decode(),
    "base64 of mostly nothing": base64.encodebytes(bytes(3000) + BYTES).decode(),
    "hexadecimal": HEX_LINES,
    "hexadecimal, mostly white": "\n".join([*["F" * 72] * 60, HEX_LINES, *["0" * 72] * 60]),
    "hexadecimal in comments": "\n".join(f"% {line}" for line in wrap(HEX, 60)),
    "a certificate": f"-----BEGIN CERTIFICATE-----\n{BASE64}-----END CERTIFICATE-----",
    "a picture in an address": f"url(data:image/png;base64,{base64.b64encode(BYTES).decode()})",
    "hexdump": dump(2, shows_text=True),
    "xxd": dump(4, shows_text=False),
    "minified script": JAVASCRIPT * 20,
    "minified styles": STYLES * 20,
}


@pytest.mark.parametrize("encoded", ENCODED.values(), ids=ENCODED.keys())
@pytest.mark.parametrize("name", ["note.txt", "note.md"])
def test_text_around_encoded_data_stays_and_the_rest_is_reported(read: Read, name: str, encoded: str) -> None:
    block = f"```\n{encoded}\n```" if name.endswith(".md") else encoded
    found = read(f"{SENTENCE}\n\n{block}\n\nThe end is near.\n", name)
    text = "\n".join(element.text for element in found.elements)
    assert SENTENCE in text
    assert "The end is near." in text
    assert len(text) < 250, text
    [warning] = found.report.warnings
    assert isinstance(warning, CodedMessage)
    assert warning.code == "encoded_data"
    assert warning.params["count"] >= 0.95 * len(encoded) - 60
    assert [element.index for element in found.elements] == list(range(len(found.elements)))


@pytest.mark.parametrize("encoded", ENCODED.values(), ids=ENCODED.keys())
def test_file_of_only_encoded_data_is_rejected(refuse: Refuse, encoded: str) -> None:
    if "CERTIFICATE" in encoded or "url(" in encoded:
        pytest.skip("it has words around it")
    refused = refuse(encoded, "image.txt", Rejection.NO_TEXT)
    assert "encoded data or minified code" in refused.message


def test_postscript_image_data_is_not_indexed(read: Read) -> None:
    lines = "\n".join(wrap(random.Random(1).randbytes(200_000).hex(), 64))
    found = read(
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%Title: logo\n/data 100 string def\nimage\n{lines}\nshowpage\n%%EOF\n",
        "logo.eps",
    )
    assert sum(len(element.text) for element in found.elements) < 200


def test_text_of_any_script_between_two_pictures_stays(read: Read) -> None:
    for text in ("员工每年享有二十五天带薪年假。", "พนักงานมีสิทธิลา", "Überübung", "Figure 25"):
        found = read(f"{BASE64}{text}\n{BASE64}", "note.txt")
        assert text in "".join(element.text for element in found.elements)


def test_links_stay_aligned_after_removing_encoded_data(read: Read) -> None:
    key = base64.b64encode(BYTES).decode()
    found = read(f"See [the rules](https://a.org) {key} and [the form](https://b.org).", "note.md")
    [element] = found.elements
    assert key not in element.text
    words = {element.text[link.start : link.end]: link.url for link in element.links}
    assert words == {"the rules": "https://a.org", "the form": "https://b.org"}


def test_tables_preserve_their_lines_without_encoded_data(read: Read) -> None:
    photo = base64.b64encode(BYTES).decode()
    found = read(f"name,photo,city\nAnna,{photo},Bonn\nBen,{photo},Ulm\n", "people.csv")
    [table] = [element for element in found.elements if element.category == "Table"]
    assert len(table.text.splitlines()) == len(table.cells) == 3
    assert all(word in table.text for word in ("Anna", "Bonn", "Ben", "Ulm"))
    assert photo[:40] not in table.text
    assert [str(warning) for warning in found.report.warnings] == [
        "16,000 characters of encoded data or minified code were skipped, as they aren’t readable text."
    ]


def lines_of(pattern: str, count: int = 60) -> str:
    """Lines with random figures and identifiers, the same at each run."""
    rng = random.Random(3)
    return "\n".join(
        pattern.format(
            n=number,
            x=rng.uniform(-1e6, 1e6),
            hash=rng.randbytes(32).hex(),
            id=f"{rng.randbytes(4).hex()}-{rng.randbytes(2).hex()}-{rng.randbytes(6).hex()}",
        )
        for number in range(count)
    )


KEPT = {
    "numbers": lines_of("{n:>6} {x:>14.2f} {x:>14.5e} {n:08d}"),
    "numbers of two digits": lines_of("10 20 30 40 50 60 70 80 90 11 22 33 44 55"),
    "long decimals": lines_of("{x:.40f}, {x:.45f},"),
    "a long number": "9" * 5000,
    "numbers in one line": ",".join(str(number * 37) for number in range(2000)),
    "comma-separated": lines_of("{id};{n};{x:.3f};Bonn;true"),
    "a log": lines_of("2026-11-29T08:00:00Z INFO [{id}] GET /api/v1/documents/{id}?token={hash} 200 {n}ms"),
    "a log in JSON": lines_of('{{"time":"2026-11-29T08:00:00Z","level":"info","id":"{id}","ms":{n}}}'),
    "JSON in one line": lines_of('{{"t":{n},"level":"info","id":"{id}","message":"ok"}}').replace("\n", ""),
    "checksums": lines_of("{hash}  packages/cairn-{n}.tar.gz"),
    "locked packages": lines_of("    --hash=sha256:{hash} \\"),
    "links": lines_of("https://example.org/d/1FAIpQLSeEEBDS{hash}/view?usp=sharing&id={id}"),
    "minutes with links": lines_of("Anna: see https://example.org/{hash}/{hash}/{hash}, decided."),
    "long paths": lines_of("/srv/projects/customers/reports/quarterly/attachments/presentation-{n}.pptx"),
    "rulers": "\n".join(["=" * 79, "-" * 79, "_" * 200, "." * 300, "Chapter " + "." * 600 + " 12"] * 5),
    "chemical names": "\n".join(
        ["(2S,3R,4S,5S,6R)-2-(hydroxymethyl)oxane-2,3,4,5-tetrol",
         "N-[2-(diethylamino)ethyl]-5-[(Z)-(5-fluoro-2-oxo-1H-indol-3-ylidene)methyl]-3-carboxamide",
         "2-[4-(2-hydroxyethyl)piperazin-1-yl]ethanesulfonicacid",
         "methionylthreonylthreonylglutaminylalanylprolylphenylalanylthreonylglutamine"] * 12
    ),
    "formulas": "\n".join(
        ["CC(C)CC1=CC=C(C=C1)C(C)C(=O)OCC2=CC=CC=C2N3CCOCC3", "C12H22O11 + H2O -> 2 C6H12O6"] * 20
    ),
    "long words": "\n".join(
        ["Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
         "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft"] * 12
    ),
    "long identifiers": "\n".join(["AbstractSingletonProxyFactoryBeanConfigurationTestCase"] * 20),
    "Chinese": "员工每年享有二十五天带薪年假。未使用的假期可以结转到下一年的三月三十一日。" * 40,
    "Japanese": "従業員は年に二十五日の有給休暇を取得できます。休暇は翌年三月末まで繰り越せます。" * 40,
    "Thai": "พนักงานมีสิทธิลาพักร้อนปีละยี่สิบห้าวันและสามารถยกยอดวันลาไปปีถัดไปได้" * 40,
    "Arabic": "يحق للموظفين الحصول على خمسة وعشرين يوما من الإجازة كل عام. " * 30,
    "tokens in text": lines_of("Restart the server with the token {hash} and tell Anna."),
    "one key": f"The public key is {base64.b64encode(BYTES[:280]).decode()} and nothing else.",
}  # fmt: skip


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT.keys())
def test_ordinary_text_is_preserved(read: Read, text: str) -> None:
    found = read(f"{SENTENCE}\n\n{text}\n", "note.txt")
    assert [str(warning) for warning in found.report.warnings] == []
    kept = "".join("".join(element.text for element in found.elements).split())
    assert kept.endswith("".join(text.split())[-50:])


def plainly(text: str) -> Rendition:
    """Paragraphs, without another process: there are thousands of texts."""
    builder = RenditionBuilder(Limits())
    for paragraph in text.split("\n\n"):
        builder.add(TEXT, paragraph)
    return builder.build()


def real_texts() -> Iterator[tuple[str, str]]:
    for path in SETS.glob("*/documents.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            document = json.loads(line)
            yield f"{path.parent.name}: {document['source_uri']}", document["text"]
    folders = {"docs": "*.md", "web/templates": "*.html", "web/static": "*.[cj]s*", "retrieval": "*.py"}
    for folder, pattern in folders.items():
        for path in (ROOT / folder).rglob(pattern):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_real_texts_lose_nothing() -> None:
    texts = {name: text for name, text in real_texts() if text.strip()}
    assert len(texts) > 2000
    changed = [
        name for name, text in texts.items() if encoded_data.drop_encoded_data(plainly(text)).report.warnings
    ]
    assert [name for name in changed if not is_catalogue(name)] == []


def is_catalogue(name: str) -> bool:
    """Translations for scripts are generated, in one line each."""
    return Path(name).match("web/static/locale/*.js")
