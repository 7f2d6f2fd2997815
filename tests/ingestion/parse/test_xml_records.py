from cairn.errors import Rejection
from tests.ingestion.parse.conftest import Read, Refuse
from tests.ingestion.parse.test_json_records import outline

FACTS = """<?xml version="1.0"?><facts year="2024">
<country code="ca"><name>Canada</name><capital>Ottawa</capital></country>
<country code="fr"><name>France</name><capital>Paris &amp; more</capital></country></facts>"""


def test_xml_records_are_fields_under_their_tag_path(read: Read) -> None:
    assert outline(read(FACTS, "a.xml")) == [
        ("Title", (), "facts"),
        ("UncategorizedText", ("facts",), "year: 2024"),
        ("Title", ("facts",), "country"),
        ("UncategorizedText", ("facts", "country"), "code: ca\nname: Canada\ncapital: Ottawa"),
        ("UncategorizedText", ("facts", "country"), "code: fr\nname: France\ncapital: Paris & more"),
    ]


def test_running_text_preserves_order_and_headings(read: Read) -> None:
    text = "This paragraph is <em>long enough</em> to explain itself, so no label is put before it." * 2
    found = read(
        f"<doc><title>Guide</title><sec><title>One</title><p>{text}</p><date>today</date></sec></doc>",
        "a.xml",
    )
    assert found.title == "Guide"
    assert outline(found) == [
        ("Title", (), "Guide"),
        ("Title", ("Guide",), "One"),
        ("UncategorizedText", ("Guide", "One"), text.replace("<em>", "").replace("</em>", "")),
        ("UncategorizedText", ("Guide", "One"), "date: today"),
    ]


def test_namespaces_do_not_show(read: Read) -> None:
    found = read('<a:x xmlns:a="urn:a" a:k="v"><a:y>1</a:y></a:x>', "a.xml")
    assert [element.text for element in found.elements] == ["x", "k: v", "y: 1"]


def test_xml_entities_load_no_files(read: Read) -> None:
    found = read(
        '<!DOCTYPE r [<!ENTITY i SYSTEM "file:///etc/passwd">]><r><t>words&i; go &i;on</t><t>&i;</t></r>',
        "a.xml",
    )
    assert [element.text for element in found.elements] == ["r", "t: words go on"]
    assert found.report.warnings == ("3 entity references were skipped.",)


def test_entities_that_grow_are_damage(refuse: Refuse) -> None:
    entities = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(8))
    bomb = f'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">{entities}]><r><t>words</t><t>&i;</t></r>'
    refuse(bomb, "a.xml", Rejection.DAMAGED_FILE)


def test_wrongly_declared_encoding_is_corrected(read: Read) -> None:
    found = read('<?xml version="1.0" encoding="utf-16"?><r><t>Straße</t></r>', "a.xml")
    assert found.elements[-1].text == "t: Straße"


def test_correctly_declared_encoding_is_used(read: Read) -> None:
    page = '<?xml version="1.0" encoding="koi8-r"?><r><t>отпуск</t></r>'
    assert read(page.encode("koi8-r"), "a.xml").elements[-1].text == "t: отпуск"


def test_malformed_xml_is_damaged(refuse: Refuse) -> None:
    for broken in (FACTS[: len(FACTS) // 2], "<a><b></a>", "<a>" * 100_000):
        refuse(broken, "a.xml", Rejection.DAMAGED_FILE)


def test_tags_without_text_are_rejected_as_no_text(refuse: Refuse) -> None:
    refuse("<a><b/><c></c></a>", "a.xml", Rejection.NO_TEXT)
