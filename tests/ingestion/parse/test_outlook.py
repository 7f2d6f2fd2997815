from pathlib import Path

import pytest

from cairn.errors import Rejection
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox.pool import ParserPool
from tests.ingestion.parse.conftest import Refuse


def test_outlook_sample_is_read_with_its_attachment(sample_data: Path, pool: ParserPool) -> None:
    path = sample_data / "formats" / "fake-email-attachment.msg"
    parsed = pool.parse(path, path.name, limits=Limits())
    assert parsed.rendition.title == "Fake email with attachment"
    assert parsed.rendition.properties == {
        "from": '"Mallori Harrell" <mallori@unstructured.io>',
        "to": '"Mallori Harrell" <mallori@unstructured.io>',
        "date": "2022-12-23T12:08:48-06:00",
        "subject": "Fake email with attachment",
    }
    texts = [element.text for element in parsed.rendition.elements]
    assert texts[0].endswith("Attachments: fake-attachment.txt")
    assert texts[1:] == [
        "Hello!", "Here's the attachments!", "It includes:", "Lots of whitespace", "Little to no content",
        "and is a quick read", "Best,", "Mallori",
    ]  # fmt: skip
    assert parsed.parts == ("fake-attachment.txt",)
    assert pool.part(path, path.name, 0, limits=Limits()) == b"Hey this is a fake attachment!"


def test_lists_in_a_mail_stay_lists(sample_data: Path, pool: ParserPool) -> None:
    path = sample_data / "formats" / "fake-email.msg"
    read = pool.parse(path, path.name, limits=Limits()).rendition
    items = [element.text for element in read.elements if element.category == "ListItem"]
    assert items == ["Roses are red", "Violets are blue"]


@pytest.mark.parametrize("kept", [600, 3000, 9000])
def test_truncated_outlook_mail_is_damaged(sample_data: Path, refuse: Refuse, kept: int) -> None:
    content = (sample_data / "formats" / "fake-email.msg").read_bytes()[:kept]
    refuse(content, "cut.msg", Rejection.DAMAGED_FILE)
