import json

from cairn.errors import Rejection
from cairn.library.rendition import Rendition
from tests.ingestion.parse.conftest import Read, Refuse

Found = list[tuple[str, tuple[str, ...], str]]


def outline(found: Rendition) -> Found:
    return [(element.category, element.section, element.text) for element in found.elements]


def test_json_fields_are_lines_and_objects_sections(read: Read) -> None:
    data = {
        "title": "Travel",
        "open": True,
        "tags": ["a", "b"],
        "empty": None,
        "rates": {"Bonn": {"meals": 28}},
    }
    found = read(json.dumps(data), "a.json")
    assert found.title == "Travel"
    assert outline(found) == [
        ("UncategorizedText", (), "title: Travel\nopen: true\ntags: a, b"),
        ("Title", (), "rates"),
        ("Title", ("rates",), "Bonn"),
        ("UncategorizedText", ("rates", "Bonn"), "meals: 28"),
    ]


def test_flat_json_records_make_a_table(read: Read) -> None:
    data = {"people": [{"name": "Ada", "room": 1}, {"name": "Bo"}, {"name": "C|D", "room": "2\n3"}]}
    table = read(json.dumps(data), "a.json").elements[-1]
    assert (table.category, table.section, table.header_rows) == ("Table", ("people",), 1)
    assert table.text == "name | room\nAda | 1\nBo | \nC|D | 2 3"


def test_long_table_is_split_under_one_header(read: Read) -> None:
    found = read(json.dumps([{"id": number, "square": number**2} for number in range(120)]), "a.json")
    assert [element.text.count("\n") for element in found.elements] == [50, 50, 20]
    assert all(element.text.startswith("id | square\n") for element in found.elements)
    assert found.report.tables == 3


def test_nested_json_record_stays_in_one_element(read: Read) -> None:
    record = {"id": 7, "place": {"city": "Bonn", "at": [{"x": 1}]}}
    assert (
        outline(read(json.dumps([record, record]), "a.json"))
        == [("UncategorizedText", (), "id: 7\nplace.city: Bonn\nplace.at.1.x: 1")] * 2
    )


def test_overlong_json_records_become_sections(read: Read) -> None:
    record = {"name": "Ada", "parts": {f"field {number}": {"value": number} for number in range(70)}}
    found = read(json.dumps([record]), "a.json")
    assert found.elements[-1].section == ("Ada", "parts", "field 69")


def test_numbers_are_not_rounded(read: Read) -> None:
    digits = "9" * 5000
    found = read(f'{{"pi": 3.14159265358979323846, "many": {digits}}}', "a.json")
    assert found.elements[0].text == f"pi: 3.14159265358979323846\nmany: {digits}"


def test_lines_of_json_are_records(read: Read) -> None:
    for filename in ("a.jsonl", "a.json"):
        found = read('{"a": 1, "b": 2}\n\n{"a": 3, "b": 4}\n{"a": 5, "b"', filename)
        assert outline(found) == [("Table", (), "a | b\n1 | 2\n3 | 4")]
        assert found.report.warnings == ("1 line was skipped.",)


def test_invalid_json_is_damaged(refuse: Refuse) -> None:
    for broken in ('{"a": 1', "{a: 1}", "[" * 200_000, '{"a": 1}\nand\nso\non'):
        refuse(broken, "a.json", Rejection.DAMAGED_FILE)


def test_names_without_values_are_rejected_as_no_text(refuse: Refuse) -> None:
    refuse('{"a": {"b": null, "c": [{}, []]}, "d": ""}', "a.json", Rejection.NO_TEXT)


def test_lone_surrogates_are_rejected_as_no_text(refuse: Refuse, read: Read) -> None:
    refuse('{"t": "\\ud800"}', "a.json", Rejection.NO_TEXT)
    assert read('{"t\\u0000": "a\\ud800b"}', "a.json").elements[0].text == "t: ab"
