"""The page on which admins link people of a source with accounts."""

from typing import Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cairn.access.models import SubjectLink
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from ingestion.sources.selectors import source_for
from web.pages.shell.decorators import number_in, page, show
from web.pages.sources.views import LONGEST_TEXT, SHOWN
from web.sources.people import PeopleFilter, count_people, people_of

FILTER_LABELS: Final[dict[PeopleFilter, str | Promise]] = {
    PeopleFilter.UNLINKED: _("People without an account here"),
    PeopleFilter.LINKED: _("People with an account here"),
    PeopleFilter.GROUPS: _("Groups"),
    PeopleFilter.UNKNOWN: _("Ids that only permissions name"),
}
FILTERS: Final = frozenset(each.value for each in PeopleFilter)
LINK_LABELS: Final[dict[str, str | Promise]] = {
    SubjectLink.DIRECTORY: _("matched by the directory"),
    SubjectLink.EMAIL: _("matched by email address"),
    SubjectLink.MANUAL: _("linked by hand"),
    SubjectLink.NOBODY: _("nobody, by hand"),
}


@require_safe
@page
def people(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    require_admin(principal)
    row = source_for(principal, source_id)
    asked = request.GET.get("show", "")
    only = PeopleFilter(asked) if asked in FILTERS else PeopleFilter.UNLINKED
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT]
    totals = count_people(row)
    found = people_of(row, only=only, containing=text).order_by("name", "external_id")
    shown = Paginator(found, SHOWN).get_page(number_in(request.GET.get("page", "")))
    context = {
        "tab": "sources",
        "source": row,
        "rows": shown,
        "people": [(person, LINK_LABELS.get(person.link, "")) for person in shown],
        "only": only.value,
        "filters": [
            (each.value, label, getattr(totals, each.value)) for each, label in FILTER_LABELS.items()
        ],
        "text": text,
        "query_prefix": f"{urlencode({'show': only.value, 'q': text})}&",
    }
    return show(request, principal, "pages/sources/people.html", context, area="console")
