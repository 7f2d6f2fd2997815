import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.passages.dates import DocumentDate, document_date, metadata_date, own_date
from tests.retrieval.answering.builders import make_hit


@pytest.mark.parametrize(
    ("metadata", "date"),
    [
        ({"date": "2023-05-01"}, "2023-05-01"),
        ({"Last-Modified": "2023-05-01T10:00:00+00:00"}, "2023-05-01"),
        ({"date": "Mon, 01 May 2023 10:00:00 +0200"}, "2023-05-01"),
        ({"date": "Spring 2023"}, "2023"),
        ({"year": 2021}, "2021"),
        ({"created": "2020-01-01", "effective_date": "2023-05-01"}, "2023-05-01"),
        ({"date": "soon", "updated": "2022-02-02"}, "2022-02-02"),
        ({"date": ["2023"], "modified": None, "author": "2023-05-01"}, ""),
        ({"date": "99999999999999999999999999"}, ""),
        ({}, ""),
    ],
)
def test_metadata_date_is_read(metadata: dict[str, object], date: str) -> None:
    assert metadata_date(metadata) == date


@given(st.dictionaries(st.sampled_from(["date", "modified", "year"]), st.text() | st.integers() | st.none()))
def test_any_metadata_gives_a_valid_date(metadata: dict[str, object]) -> None:
    assert len(metadata_date(metadata)) in {0, 4, 10}


def test_document_date_prefers_metadata_then_title_year_then_upload() -> None:
    assert document_date(make_hit("x", title="Policy 2021", dated="2023-05-01")) == DocumentDate(
        "2023-05-01", "metadata"
    )
    assert document_date(make_hit("x", title="Policy 2021", section=("Rules 2019",))) == DocumentDate(
        "2021", "title"
    )
    assert document_date(make_hit("x", title="Policy", section=("Rules 2019",))) == DocumentDate(
        "2019", "section"
    )
    assert document_date(make_hit("x", title="Policy")) == DocumentDate("2026-01-01", "upload")
    assert own_date(make_hit("x", title="Room 12021")) is None
