"""Erasure finds data that no row refers to."""

import pytest
from django.core.files.storage import default_storage

from cairn.access.scope import Principal
from cairn.library import storage
from cairn.library.rendition import Rendition
from ingestion.documents.services import document_delete
from ingestion.erasure import documents
from tests.ingestion.conftest import Submit
from tests.ingestion.parts import FakeIndex


@pytest.mark.django_db(transaction=True)
def test_rendition_of_a_dead_worker_is_erased(submit: Submit, admin: Principal) -> None:
    document = submit().document
    version = document.latest_version
    assert version is not None
    written = storage.rendition_save(version.id, Rendition(pages=None, elements=()))
    receipt = document_delete(document=document, principal=admin)
    documents.erase(receipt.id, FakeIndex())
    receipt.refresh_from_db()
    assert receipt.removed["files"] == 2
    assert not default_storage.exists(written)
