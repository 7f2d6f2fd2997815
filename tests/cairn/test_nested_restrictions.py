"""A file in a restricted container is restricted too, even if its own row isn't."""

from collections.abc import Callable

from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document
from tests.bases import make_base
from tests.principals import SETUP


def test_files_in_a_restricted_container_are_hidden(make_user: Callable[..., User]) -> None:
    mia, rob = make_user("mia"), make_user("rob")
    base = make_base(name="Handbook", principal=principal_for_user(mia))
    grant_give(knowledge_base=base, subject=f"user:{rob.id}", role=Role.READER, principal=SETUP)
    mail = Document.objects.create(knowledge_base=base, source_key="a.eml", title="Mail")
    archive = Document.objects.create(knowledge_base=base, source_key="b", title="Archive", parent=mail)
    file = Document.objects.create(knowledge_base=base, source_key="c", title="File", parent=archive)
    reader = principal_for_user(rob)
    assert set(documents_for(reader)) == {mail, archive, file}
    readers_replace(document=mail, readers=[], actor=None)
    assert not file.narrowed
    assert not documents_for(reader).exists()
