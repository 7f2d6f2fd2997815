"""Reserved slugs outlive a restore of an older backup."""

import pytest
from django.db import connection

from cairn.library.models import ReservedSlug
from web.backup.restore import _note_slugs, _reserve
from web.data_dir.restore_marker import unfinished_file

pytestmark = pytest.mark.django_db


def test_slugs_used_since_the_backup_stay_reserved(tmp_path: object, settings: object) -> None:
    """Also when the first attempt was killed after it had put the older tables in place."""
    settings.DATA_DIR = str(tmp_path)  # type: ignore[attr-defined]
    ReservedSlug.objects.create(slug="before")
    ReservedSlug.objects.create(slug="since")
    unfinished_file().touch()
    _note_slugs()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM library_reservedslug WHERE slug = 'since'")  # as the older tables are
    _reserve(_note_slugs())
    assert set(ReservedSlug.objects.values_list("slug", flat=True)) == {"before", "since"}
