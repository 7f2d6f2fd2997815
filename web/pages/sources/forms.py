"""The form of a source: reading what was typed, and what is wrong with it, by field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from cairn.errors import InvalidInput
from ingestion.models import Source, SourceReaders, SourceTask
from ingestion.sources.options import load_options, parse_options, stored_secrets
from ingestion.sources.protocol import SourceKind, SourceOptions, SourceRefused
from ingestion.sources.services import EVERY_SECONDS, MIN_EVERY_SECONDS
from web.i18n.localize import localize
from web.sources.option_fields import (
    LONGEST_VALUE,
    OptionField,
    describe_problems,
    list_option_fields,
    read_options,
)

LONGEST_NAME: Final = 120
OPTIONS: Final = "options-"
"""Prefix of the names of the kind's options."""
MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
INTERVALS: Final[Mapping[int, str | Promise]] = {
    5 * MINUTE: _("Every 5 minutes"),
    15 * MINUTE: _("Every 15 minutes"),
    HOUR: _("Every hour"),
    6 * HOUR: _("Every 6 hours"),
    DAY: _("Every day"),
    7 * DAY: _("Every week"),
}
READERS: Final[Mapping[str, tuple[str | Promise, str | Promise]]] = {
    SourceReaders.SOURCE: (
        _("Whoever may read them in the source"),
        _(
            "Cairn takes over the permissions of each document. If it can’t read them completely, only "
            "managers see the document."
        ),
    ),
    SourceReaders.MANAGERS: (
        _("Managers only"),
        _("Managers of the knowledge base read everything; nobody else sees anything."),
    ),
    SourceReaders.EVERYONE: (
        _("Everyone who may use the knowledge base"),
        _("Permissions in the source are ignored. Choose this only for documents that all of them may read."),
    ),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a select or of radio buttons."""

    value: str
    label: str
    hint: str = ""


@dataclass(slots=True)
class SourceForm:
    """Values that the form shows. `problems` by the name of the field; "" for the form as a whole."""

    kind: SourceKind
    knowledge_base: str = ""
    name: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    stored_secrets: frozenset[str] = frozenset()
    readers: str = ""
    directory: str = ""
    match_email: bool = False
    every_seconds: dict[SourceTask, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> list[OptionField]:
        return list_option_fields(
            self.kind.options,
            self.options,
            stored_secrets=self.stored_secrets,
            problems={
                name.removeprefix(OPTIONS): text
                for name, text in self.problems.items()
                if name.startswith(OPTIONS)
            },
        )

    @property
    def connection_fields(self) -> list[OptionField]:
        return [each for each in self.fields if not each.is_selection]

    @property
    def selection_fields(self) -> list[OptionField]:
        return [each for each in self.fields if each.is_selection]

    @property
    def reader_choices(self) -> list[Choice]:
        offered = [value for value in READERS if self.kind.has_access or value != SourceReaders.SOURCE]
        return [Choice(value, str(READERS[value][0]), str(READERS[value][1])) for value in offered]

    @property
    def problem(self) -> str:
        return self.problems.get("", "")


def blank_form(kind: SourceKind, knowledge_base: str) -> SourceForm:
    """Return the form of a new source. Nobody but managers reads it unless the source knows better."""
    readers = SourceReaders.SOURCE if kind.has_access else SourceReaders.MANAGERS
    return SourceForm(kind, knowledge_base=knowledge_base, readers=readers, every_seconds=dict(EVERY_SECONDS))


def filled_form(kind: SourceKind, row: Source) -> SourceForm:
    """Return the form with what is stored. Secrets are left out."""
    every = dict(row.schedules.values_list("task", "every_seconds"))
    return SourceForm(
        kind,
        knowledge_base=row.knowledge_base.slug,
        name=row.name,
        options=dict(row.options),
        stored_secrets=frozenset(stored_secrets(row)),
        readers=row.readers,
        directory=row.directory,
        match_email=row.match_email,
        every_seconds={task: every.get(task, seconds) for task, seconds in EVERY_SECONDS.items()},
    )


def read_form(kind: SourceKind, posted: QueryDict, row: Source | None = None) -> SourceForm:
    """Read a form, and note what is missing outside the kind's options."""
    typed = {name: str(value).replace("\0", "")[:LONGEST_VALUE] for name, value in posted.items()}
    given = {name.removeprefix(OPTIONS): value for name, value in typed.items() if name.startswith(OPTIONS)}
    form = SourceForm(
        kind,
        knowledge_base=typed.get("knowledge_base", "").strip(),
        name=typed.get("name", "").strip(),
        options=read_options(kind.options, given),
        stored_secrets=frozenset(stored_secrets(row)) if row else frozenset(),
        readers=typed.get("readers", ""),
        directory=typed.get("directory", "").strip(),
        match_email="match_email" in typed,
        every_seconds={task: _read_seconds(typed.get(f"every-{task}", ""), task) for task in EVERY_SECONDS},
    )
    form.problems |= _list_problems(form)
    return form


def validate_options(form: SourceForm, row: Source | None = None) -> SourceOptions | None:
    """Return the options, with stored secrets where they were left empty, or note what is wrong."""
    try:
        form.kind.options.model_validate({**_stored_secrets(form, row), **form.options})
        return parse_options(form.kind, form.options, before=row)
    except ValidationError as error:
        for name, text in describe_problems(error).items():
            form.problems[f"{OPTIONS}{name}" if name else ""] = text
    except InvalidInput as error:
        form.problems[""] = localize(error.message)
    return None


def _stored_secrets(form: SourceForm, row: Source | None) -> dict[str, Any]:
    if row is None or not form.stored_secrets:
        return {}
    try:
        stored = load_options(row)
    except SourceRefused:
        return {}
    return {name: getattr(stored, name) for name in form.stored_secrets}


def interval_choices(seconds: int) -> list[Choice]:
    """Return the usual intervals, and the present one if it is unusual."""
    usual = [Choice(str(value), str(label)) for value, label in INTERVALS.items()]
    if seconds in INTERVALS:
        return usual
    return [Choice(str(seconds), gettext("Every {n} seconds").format(n=seconds)), *usual]


def _read_seconds(text: str, task: SourceTask) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) < 8
    return max(MIN_EVERY_SECONDS, int(text)) if is_number else EVERY_SECONDS[task]


def _list_problems(form: SourceForm) -> dict[str, str]:
    found = {}
    if not form.name:
        found["name"] = gettext("Fill in this field.")
    elif len(form.name) > LONGEST_NAME:
        found["name"] = gettext("Use at most {max_length} characters.").format(max_length=LONGEST_NAME)
    if form.readers not in [choice.value for choice in form.reader_choices]:
        found["readers"] = gettext("Choose one of the options.")
    return found
