"""Check of sources: whether their tasks succeed."""

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ingestion.models import SourceSchedule
from web.health.results import HealthResult, format_age, ok, warning
from web.i18n.localize import localize

FAILURES_BEFORE_WARNING: Final = 2
"""One failed run may be a restart of the source's server."""


def check_sources() -> HealthResult:
    """Check whether tasks of sources fail again and again, and name the one that does so most often."""
    rows = SourceSchedule.objects.filter(
        source__enabled=True, source__deleted_at=None, source__knowledge_base__deleted_at=None
    ).select_related("source")
    failing = list(rows.filter(failures__gte=FAILURES_BEFORE_WARNING).order_by("-failures", "id"))
    if not failing:
        count = rows.values("source").distinct().count()
        if not count:
            return ok(_("No sources are set up."))
        text = ngettext("%(n)s source is being synced.", "%(n)s sources are being synced.", count)
        return ok(text % {"n": count})
    names = len({row.source_id for row in failing})
    text = ngettext(
        "%(n)s source can’t be synced. %(name)s: %(problem)s",
        "%(n)s sources can’t be synced. %(name)s: %(problem)s",
        names,
    ) % {"n": names, "name": failing[0].source.name, "problem": localize(failing[0].error)}
    succeeded = failing[0].succeeded_at
    if succeeded:
        age = {"time": format_age(succeeded)}
        text += " " + _("It was last synced %(time)s ago.") % age
    return warning(text, _("Its documents stay as they were. Check its server and its password."))
