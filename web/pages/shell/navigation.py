"""Sections of the administration that the user may open, in groups."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

Text = str | Promise


class Takes(Enum):
    """Permission for a section: to edit or manage any knowledge base, to manage or create one, or to be an
    admin.
    """

    EDITING = "editing"
    CREATING = "creating"
    MANAGING = "managing"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Section:
    """A section. `tab` is the tab name used by its pages."""

    tab: str
    label: Text
    view: str
    takes: Takes


@dataclass(frozen=True, slots=True)
class Entry:
    label: Text
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Group:
    label: Text
    entries: Sequence[Entry]


SECTIONS: Final[Sequence[tuple[Text, Sequence[Section]]]] = (
    (
        "",
        (
            Section("overview", _("Overview"), "console-index", Takes.MANAGING),
            Section("health", _("Health"), "console-health", Takes.ADMIN),
        ),
    ),
    (
        _("Knowledge"),
        (
            Section("bases", _("Knowledge bases"), "console", Takes.CREATING),
            Section("assistants", _("Assistants"), "console-assistants", Takes.MANAGING),
            Section("documents", _("Documents"), "console-documents", Takes.MANAGING),
            Section("sources", pgettext_lazy("systems", "Sources"), "console-sources", Takes.MANAGING),
            Section("ingestion", _("Ingestion"), "console-ingestion", Takes.EDITING),
        ),
    ),
    (
        _("Quality"),
        (
            Section("gaps", _("Knowledge gaps"), "console-gaps", Takes.EDITING),
            Section("evaluation", _("Evaluation"), "console-evaluation", Takes.MANAGING),
            Section("playground", _("Playground"), "console-playground", Takes.MANAGING),
            Section("models", _("Models"), "console-models", Takes.ADMIN),
            Section("model-comparisons", _("Model comparisons"), "console-model-comparisons", Takes.ADMIN),
            Section("red-team", _("Red team"), "console-red-team", Takes.ADMIN),
        ),
    ),
    (
        _("People"),
        (
            Section("users", _("Users"), "console-users", Takes.ADMIN),
            Section("groups", _("Groups"), "console-groups", Takes.ADMIN),
            Section("keys", _("API keys"), "console-keys", Takes.ADMIN),
            Section("limits", _("Limits"), "console-limits", Takes.ADMIN),
        ),
    ),
    (
        _("Installation"),
        (Section("settings", _("Settings"), "console-settings", Takes.ADMIN),),
    ),
    (
        _("Compliance"),
        (
            Section("audit", _("Audit log"), "console-audit", Takes.ADMIN),
            Section("access-checks", _("Access check"), "console-access-checks", Takes.ADMIN),
            Section("erasures", _("Erasures"), "console-erasures", Takes.ADMIN),
        ),
    ),
    (
        _("Development"),
        (Section("components", _("Interface components"), "console-components", Takes.ADMIN),),
    ),
)


def sections_open(*, edits: bool, manages: bool, creates: bool, is_admin: bool, tab: str) -> list[Group]:
    permissions = {
        Takes.EDITING: edits,
        Takes.CREATING: manages or creates,
        Takes.MANAGING: manages,
        Takes.ADMIN: is_admin,
    }
    may = {takes for takes, granted in permissions.items() if granted}
    groups = [Group(label, _entries(sections, may, tab)) for label, sections in SECTIONS]
    return [group for group in groups if group.entries]


def _entries(sections: Sequence[Section], may: Collection[Takes], tab: str) -> list[Entry]:
    return [
        Entry(section.label, reverse(f"pages:{section.view}"), section.tab == tab)
        for section in sections
        if section.takes in may
    ]
