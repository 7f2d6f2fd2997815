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


class RequiredPermission(Enum):
    """Permission that a section requires.

    That is to edit or manage any knowledge base, to manage or create one, or to be an admin.
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
    permission: RequiredPermission


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
            Section("overview", _("Overview"), "console-index", RequiredPermission.MANAGING),
            Section("health", _("Health"), "console-health", RequiredPermission.ADMIN),
        ),
    ),
    (
        _("Knowledge"),
        (
            Section("bases", _("Knowledge bases"), "console", RequiredPermission.CREATING),
            Section("assistants", _("Assistants"), "console-assistants", RequiredPermission.MANAGING),
            Section("documents", _("Documents"), "console-documents", RequiredPermission.MANAGING),
            Section(
                "sources", pgettext_lazy("systems", "Sources"), "console-sources", RequiredPermission.MANAGING
            ),
            Section("ingestion", _("Ingestion"), "console-ingestion", RequiredPermission.EDITING),
        ),
    ),
    (
        _("Quality"),
        (
            Section("gaps", _("Knowledge gaps"), "console-gaps", RequiredPermission.EDITING),
            Section("evaluation", _("Evaluation"), "console-evaluation", RequiredPermission.MANAGING),
            Section("playground", _("Playground"), "console-playground", RequiredPermission.MANAGING),
            Section("models", _("Models"), "console-models", RequiredPermission.ADMIN),
            Section(
                "model-comparisons",
                _("Model comparisons"),
                "console-model-comparisons",
                RequiredPermission.ADMIN,
            ),
            Section("red-team", _("Red team"), "console-red-team", RequiredPermission.ADMIN),
            Section("usage-policy", _("Usage policy"), "console-usage-policy", RequiredPermission.ADMIN),
        ),
    ),
    (
        _("People"),
        (
            Section("users", _("Users"), "console-users", RequiredPermission.ADMIN),
            Section("groups", _("Groups"), "console-groups", RequiredPermission.ADMIN),
            Section("keys", _("API keys"), "console-keys", RequiredPermission.ADMIN),
            Section("limits", _("Limits"), "console-limits", RequiredPermission.ADMIN),
        ),
    ),
    (
        _("Installation"),
        (Section("settings", _("Settings"), "console-settings", RequiredPermission.ADMIN),),
    ),
    (
        _("Compliance"),
        (
            Section("audit", _("Audit log"), "console-audit", RequiredPermission.ADMIN),
            Section("access-checks", _("Access check"), "console-access-checks", RequiredPermission.ADMIN),
            Section("erasures", _("Erasures"), "console-erasures", RequiredPermission.ADMIN),
        ),
    ),
    (
        _("Development"),
        (Section("components", _("Interface components"), "console-components", RequiredPermission.ADMIN),),
    ),
)


def visible_sections(*, edits: bool, manages: bool, creates: bool, is_admin: bool, tab: str) -> list[Group]:
    permissions = {
        RequiredPermission.EDITING: edits,
        RequiredPermission.CREATING: manages or creates,
        RequiredPermission.MANAGING: manages,
        RequiredPermission.ADMIN: is_admin,
    }
    granted = {permission for permission, is_granted in permissions.items() if is_granted}
    groups = [Group(label, _entries(sections, granted, tab)) for label, sections in SECTIONS]
    return [group for group in groups if group.entries]


def _entries(sections: Sequence[Section], granted: Collection[RequiredPermission], tab: str) -> list[Entry]:
    return [
        Entry(section.label, reverse(f"pages:{section.view}"), section.tab == tab)
        for section in sections
        if section.permission in granted
    ]
