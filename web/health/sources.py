"""Check of sources: whether their tasks succeed."""

from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Max, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ingestion.models import Source, SourceQuerySet, SourceSchedule
from web.health.results import HealthResult, format_age, ok, warning
from web.i18n.localize import localize

FAILURES_BEFORE_WARNING: Final = 2
"""One failed run may be a restart of the source's server, unless the source refuses the credentials."""


class _Failing(NamedTuple):
    """A source that fails, and when it was last read."""

    source: Source
    problem: str
    succeeded: datetime | None


def check_sources() -> HealthResult:
    """Check whether tasks or the test of a source fail, and name the source that does so most often."""
    sources = Source.objects.present().filter(enabled=True)
    failing = _list_failing(sources)
    if not failing:
        count = sources.filter(schedules__isnull=False).distinct().count()
        if not count:
            return ok(_("No sources are set up."), page="console-sources")
        text = ngettext("%(n)s source is being synced.", "%(n)s sources are being synced.", count)
        return ok(text % {"n": count}, page="console-sources")
    first, names = failing[0], len({each.source.pk for each in failing})
    text = ngettext(
        "%(n)s source can’t be synced. %(name)s: %(problem)s",
        "%(n)s sources can’t be synced. %(name)s: %(problem)s",
        names,
    ) % {"n": names, "name": first.source.name, "problem": localize(first.problem)}
    if first.succeeded:
        text += " " + _("It was last synced %(time)s ago.") % {"time": format_age(first.succeeded)}
    remedy = _("Its documents stay as they were. Check its server, its address and its password.")
    return warning(text, remedy, page="console-sources")


def _list_failing(sources: SourceQuerySet) -> list[_Failing]:
    """Return failed tasks, most failures first, and then sources whose test failed since they were read."""
    failed = Q(failures__gte=FAILURES_BEFORE_WARNING) | Q(failures__gte=1, refused=True)
    rows = SourceSchedule.objects.filter(failed, source__in=sources).select_related("source")
    found = [_Failing(row.source, row.error, row.succeeded_at) for row in rows.order_by("-failures", "id")]
    tested = sources.with_failed_check().annotate(last=Max("schedules__succeeded_at")).order_by("name", "pk")
    times = [each.last for each in tested]  # type: ignore[attr-defined]
    return [
        *found,
        *(_Failing(each, each.check_error, last) for each, last in zip(tested, times, strict=True)),
    ]
