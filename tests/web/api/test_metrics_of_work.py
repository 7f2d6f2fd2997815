"""Metrics count questions, searches and ingestion."""

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from cairn.library.models import Document
from retrieval.engine import Engine
from tests.web.api.conftest import Caller


def figures() -> dict[tuple[str, str], float]:
    """Return figures by name and the value of the one label."""
    text = Client().get("/metrics").content.decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("cairn_") and "le" not in sample.labels
    }


def gained(before: dict[tuple[str, str], float], name: str, label: str = "") -> float:
    return figures().get((name, label), 0.0) - before.get((name, label), 0.0)


@pytest.mark.django_db(transaction=True)
def test_questions_and_searches_are_timed_and_labelled_by_verdict(
    parts: Engine, document: Document, mia: Caller
) -> None:
    before = figures()
    mia.post("/search", {"query": "leave"})
    mia.post("/ask", {"question": "What is the colour of the moon on Tuesdays?"})
    assert gained(before, "cairn_search_seconds_count") >= 2
    assert gained(before, "cairn_answers_total", "refused") == 1
    assert gained(before, "cairn_answer_seconds_count") == 1


def test_waiting_jobs_are_measured_per_queue(document: Document) -> None:
    found = figures()
    assert found["cairn_queue_jobs", "interactive"] == 1
    assert found["cairn_queue_jobs", "bulk"] == 0
    assert found["cairn_queue_age_seconds", "interactive"] > 0
    assert found["cairn_data_free_bytes", ""] > 0
    assert ("cairn_job_outcomes_total", "no_text") in found, "a rate needs a first value"
