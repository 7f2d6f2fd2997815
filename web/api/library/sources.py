"""Sources: systems whose documents a knowledge base follows. Managers see them, and admins change them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from django.http import HttpRequest
from django.urls import reverse
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StrictInt, StringConstraints, ValidationError

from cairn.access.models import SourceSubject, SubjectKind
from cairn.access.selectors import knowledge_base_for
from cairn.errors import NotFound
from ingestion.models import (
    Source,
    SourceItem,
    SourceItemState,
    SourceReaders,
    SourceTask,
    SourceVerification,
    VerificationState,
)
from ingestion.sources.kinds import get_kind, list_kinds
from ingestion.sources.options import stored_secrets
from ingestion.sources.protocol import CheckState, CheckStep, SourceKind, first_problem
from ingestion.sources.selectors import (
    ItemCounts,
    ScheduleState,
    item_counts,
    items_of,
    schedules_of,
    source_for,
    sources_for,
)
from ingestion.sources.services import source_create, source_delete, source_request, source_update
from web.api.framework.fields import (
    Body,
    Flag,
    Id,
    Metadata,
    Name,
    Patch,
    parse_knowledge_base_or_no_match,
)
from web.api.framework.pagination import Page, PageQuery, numbered_page, page_of
from web.api.framework.problems import InvalidFields, field_error
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of
from web.sources.dry_run import DryRun, check_stored, check_typed, list_stored, list_typed
from web.sources.option_fields import secret_names
from web.sources.people import PeopleFilter, link_person, people_of
from web.sources.verification import last_verification, verification_begin
from web.sources.webhooks import webhook_create, webhook_remove

router = Router(tags=["Sources"], by_alias=True)
ADMINS = needs(admin=True)
MANAGERS = needs("manage")
Seconds = Annotated[StrictInt, Field(ge=60, le=31 * 24 * 3600)]
KindName = Annotated[str, StringConstraints(max_length=50)]
DirectoryName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class ConnectedSourceKind(RowSchema):
    """A kind of source. `options`: JSON schema of its options; `secrets`: those that are stored encrypted and
    never returned. `has_access`: the source says who may read an item; `has_people`: who is in its groups.
    `has_webhook`: sources of this kind can receive webhooks. `docs`: path of its page in the documentation.
    """

    name: str
    label: str
    description: str
    options: dict[str, Any]
    secrets: list[str]
    has_access: bool
    has_people: bool
    docs: str
    has_webhook: bool

    @classmethod
    def of(cls, kind: SourceKind) -> Self:
        return cls.read(
            kind,
            options=kind.options.model_json_schema(),
            secrets=sorted(secret_names(kind.options)),
            has_webhook=kind.webhook is not None,
        )


class ConnectedSourceTask(RowSchema):
    """A task of a source and how its last run went. `age`: seconds since it last succeeded. `next_at`: null
    if it runs as soon as possible, or never while the source is paused. `result`: counts of the last run.
    `error`: its problem if `failures`, the number of failed runs in a row, isn't 0; otherwise a warning.
    """

    task: SourceTask
    every_seconds: int
    running: bool
    requested: bool
    started_at: datetime | None
    finished_at: datetime | None
    succeeded_at: datetime | None
    age: float | None
    next_at: datetime | None
    failures: int
    result: dict[str, Any]
    error: str

    @classmethod
    def of(cls, state: ScheduleState) -> Self:
        return cls.read(state)


class ConnectedSourceItems(RowSchema):
    """Numbers of items by state."""

    synced: int
    pending: int
    failed: int
    excluded: int

    @classmethod
    def of(cls, counts: ItemCounts) -> Self:
        return cls.read(counts)


class ConnectedSourceWebhook(BaseModel):
    """A webhook without its secret. `received_at`: when the last valid one came."""

    created_at: datetime
    received_at: datetime | None

    @classmethod
    def of(cls, row: Source) -> Self | None:
        if row.webhook_created_at is None:
            return None
        return cls(created_at=row.webhook_created_at, received_at=row.webhook_received_at)


class NewConnectedSourceWebhook(BaseModel):
    """What to enter in the system. The `secret` is returned only once."""

    url: str
    secret: str


class ConnectedSource(RowSchema):
    """A source. `options` without secrets; `secrets_set`: the secrets that are stored. `webhook`: null if it
    receives none.
    """

    id: str
    knowledge_base: str
    kind: str
    name: str
    options: dict[str, Any]
    secrets_set: list[str]
    readers: SourceReaders
    directory: str
    match_email: bool
    enabled: bool
    tasks: list[ConnectedSourceTask]
    items: ConnectedSourceItems
    batch: str | None = Field(serialization_alias="import")
    webhook: ConnectedSourceWebhook | None
    created_at: datetime

    @classmethod
    def of(cls, row: Source) -> Self:
        return cls.read(
            row,
            id=str(row.id),
            knowledge_base=str(row.knowledge_base_id),
            secrets_set=stored_secrets(row),
            readers=SourceReaders(row.readers),
            tasks=[ConnectedSourceTask.of(state) for state in schedules_of(row)],
            items=ConnectedSourceItems.of(item_counts(row)),
            batch=str(row.batch_id) if row.batch_id else None,
            webhook=ConnectedSourceWebhook.of(row),
        )


class ConnectedSourceDifference(BaseModel):
    """People who could read a document although the source doesn't allow it, or couldn't although it does, as
    ids of up to 20 users and how many there were.

    `level` of `levels` is the first one that refuses one of them: in the source for `too_much`, else here; 0
    if no level does. `action`: `corrected`; `restricted` to managers until the next sync of access; or
    `found`, and therefore restricted, since a person without permission found the document.
    """

    document: str
    too_much: list[str]
    too_much_count: int
    too_little: list[str]
    too_little_count: int
    level: int
    levels: int
    action: Literal["corrected", "restricted", "found"]


class ConnectedSourceVerification(RowSchema):
    """A verification of permissions. `documents` of `planned` were compared, with the groups as they are now
    if `people_read` is true, else as of the last sync. `canaries`: documents that people without permission
    searched for; `found`: how many of them they found. A `failed` one didn't end; `error` says why.
    """

    id: str
    state: VerificationState
    planned: int
    documents: int
    people_read: bool
    canaries: int
    found: int
    differences: list[ConnectedSourceDifference]
    error: str
    requested_by: str | None
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: SourceVerification) -> Self:
        return cls.read(
            row,
            id=str(row.id),
            state=VerificationState(row.state),
            differences=[ConnectedSourceDifference.model_validate(each) for each in row.differences],
            requested_by=str(row.requested_by_id) if row.requested_by_id else None,
        )


class ConnectedSourceItem(RowSchema):
    """An item as it was last listed. `reason`: why it could not be imported."""

    id: int
    external_id: str
    name: str
    container: str
    uri: str
    state: SourceItemState
    reason: str
    size: int | None
    modified: datetime | None
    document: str | None

    @classmethod
    def of(cls, row: SourceItem) -> Self:
        return cls.read(
            row,
            id=row.pk,
            state=_item_state(row),
            reason=row.error,
            document=str(row.document_id) if row.document_id else None,
        )


class ConnectedSourceCheckStep(BaseModel):
    """A step of a test. `problem` is empty if it succeeded. `warning` is what should be improved although it
    did, such as a connection that isn't encrypted.
    """

    name: str
    detail: str
    problem: str
    warning: str
    state: CheckState


class ConnectedSourceCheck(BaseModel):
    """A test up to its first problem, which is null if everything works."""

    steps: list[ConnectedSourceCheckStep]
    problem: str | None

    @classmethod
    def of(cls, steps: list[CheckStep]) -> Self:
        rows = [
            ConnectedSourceCheckStep(
                name=step.name,
                detail=step.detail or step.warning,
                problem=step.problem,
                warning=step.warning,
                state=step.state,
            )
            for step in steps
        ]
        return cls(steps=rows, problem=first_problem(steps) or None)


class ConnectedSourceSample(BaseModel):
    name: str
    container: str
    uri: str
    size: int | None


class ConnectedSourceContainer(BaseModel):
    """A folder, space or mailbox with its number of items, or the reason why it can't be listed."""

    container: str
    items: int | None = None
    reason: str = ""


class ConnectedSourceDryRun(BaseModel):
    """Items to be imported. `complete`: false if a limit or a problem ended the listing. `bytes` sums up the
    sizes known to the source, and `unsized` counts the items without one. `largest`: containers with the most
    items.
    """

    items: int
    size: int = Field(serialization_alias="bytes")
    unsized: int
    complete: bool
    samples: list[ConnectedSourceSample]
    largest: list[ConnectedSourceContainer]
    unlisted: list[ConnectedSourceContainer]
    problem: str | None

    @classmethod
    def of(cls, report: DryRun) -> Self:
        samples = [
            ConnectedSourceSample(name=item.name, container=item.container, uri=item.uri, size=item.size)
            for item in report.samples
        ]
        unlisted = [
            ConnectedSourceContainer(container=each.container, reason=each.reason) for each in report.unlisted
        ]
        return cls(
            items=report.items,
            size=report.size,
            unsized=report.unsized,
            complete=report.is_complete,
            samples=samples,
            largest=[ConnectedSourceContainer(container=name, items=items) for name, items in report.largest],
            unlisted=unlisted,
            problem=report.problem or None,
        )


class ConnectedSourceUser(BaseModel):
    id: str
    username: str


class ConnectedSourcePerson(BaseModel):
    """A person or group of a source, or an id that only permissions name. `link`: how a person was linked to
    an account, `nobody` if an admin decided that the person has none.
    """

    id: str
    external_id: str
    kind: SubjectKind
    name: str
    email: str
    user: ConnectedSourceUser | None
    link: Literal["", "directory", "email", "manual", "nobody"]

    @classmethod
    def of(cls, row: SourceSubject) -> Self:
        user = ConnectedSourceUser(id=str(row.user.pk), username=row.user.username) if row.user else None
        return cls(
            id=str(row.pk),
            external_id=row.external_id,
            kind=SubjectKind(row.kind),
            name=row.name,
            email=row.email,
            user=user,
            link=row.link,
        )


class PersonLink(Body):
    """`user`: id of an active account; null: the person has none."""

    user: Id | None


class ConnectedSourceIntervals(Body):
    """Seconds between runs of a task. Absent tasks are unchanged."""

    content: Seconds | None = None
    access: Seconds | None = None
    people: Seconds | None = None

    def by_task(self) -> dict[SourceTask, int]:
        every = {task: getattr(self, task.value) for task in SourceTask}
        return {task: seconds for task, seconds in every.items() if seconds is not None}


class NewConnectedSource(Body):
    """`readers`: `source` for people allowed by the source, if its kind supports that; `managers` of the
    knowledge base; or `everyone` who may use the knowledge base. `directory`: the directory that people sign
    in with both here and in the source. `match_email`: also match accounts by email address.
    """

    knowledge_base: Id
    kind: KindName
    name: Name
    options: Metadata
    readers: SourceReaders = SourceReaders.SOURCE
    directory: DirectoryName = ""
    match_email: Flag = False
    enabled: Flag = True
    every_seconds: ConnectedSourceIntervals = Field(default_factory=ConnectedSourceIntervals)


class ConnectedSourcePatch(Patch):
    """`options` replace all options; secrets that are left out stay, unless the server changes."""

    name: Name | None = None
    options: Metadata | None = None
    readers: SourceReaders | None = None
    directory: DirectoryName | None = None
    match_email: Flag | None = None
    enabled: Flag | None = None
    every_seconds: ConnectedSourceIntervals | None = None


class TypedOptions(Body):
    """Options that aren't stored."""

    kind: KindName
    options: Metadata


class SyncRequest(Body):
    """`full`: list everything again instead of only changes, import items whose documents were deleted here,
    and delete documents whose items are gone, even if those are most of them.
    """

    task: SourceTask = SourceTask.CONTENT
    full: Flag = False


class ConnectedSourceQuery(PageQuery):
    knowledge_base: str = Field("", max_length=140, description="Id or slug of a knowledge base")


class ConnectedSourceItemQuery(PageQuery):
    state: Literal["", "synced", "pending", "failed", "excluded"] = ""
    q: str = Field("", max_length=200, description="Part of a name or address")


class ConnectedSourcePeopleQuery(PageQuery):
    show: Literal["", "unlinked", "linked", "groups", "unknown"] = ""
    q: str = Field("", max_length=200, description="Part of a name, an email address or an id")


class DeletionQuery(BaseModel):
    delete_documents: bool = Field(False, description="Delete its documents; otherwise managers keep them")


@router.get("/kinds", summary="List kinds of sources", response=list[ConnectedSourceKind], auth=ADMINS)
def connected_source_kind_list(request: HttpRequest) -> list[ConnectedSourceKind]:  # noqa: ARG001
    """Lists the kinds of sources whose packages are installed, with the schema of their options."""
    return [ConnectedSourceKind.of(kind) for kind in list_kinds()]


@router.post("/check", summary="Test options of a source", response=ConnectedSourceCheck, auth=ADMINS)
def connected_source_options_check(request: HttpRequest, payload: TypedOptions) -> ConnectedSourceCheck:
    """Connects, signs in, lists and reads with options that aren't stored, within 25 seconds."""
    _require_valid(payload.kind, payload.options)
    actor = principal_of(request).actor
    return ConnectedSourceCheck.of(
        check_typed(kind=payload.kind, options=payload.options, before=None, actor=actor)
    )


@router.post("/dry-run", summary="Preview options of a source", response=ConnectedSourceDryRun, auth=ADMINS)
def connected_source_options_dry_run(request: HttpRequest, payload: TypedOptions) -> ConnectedSourceDryRun:
    """Lists what options that aren't stored would import, within 25 seconds and 2,000 items."""
    _require_valid(payload.kind, payload.options)
    actor = principal_of(request).actor
    return ConnectedSourceDryRun.of(
        list_typed(kind=payload.kind, options=payload.options, before=None, actor=actor)
    )


@router.get("", summary="List sources", response=Page[ConnectedSource], auth=MANAGERS)
def connected_source_list(request: HttpRequest, query: Query[ConnectedSourceQuery]) -> Page[ConnectedSource]:
    """Lists the sources of the knowledge bases that the user manages."""
    principal = principal_of(request)
    rows = sources_for(principal)
    if query.knowledge_base:
        rows = rows.filter(knowledge_base=parse_knowledge_base_or_no_match(principal, query.knowledge_base))
    found = page_of(rows, query)
    return Page(items=[ConnectedSource.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Set up a source", response={201: ConnectedSource}, auth=ADMINS)
def connected_source_add(request: HttpRequest, payload: NewConnectedSource) -> Status[ConnectedSource]:
    """Sets up a source, whose first sync starts immediately. 422 if the options aren't valid; 409 if the
    knowledge base has a source of this name.
    """
    principal = principal_of(request)
    base = knowledge_base_for(principal, payload.knowledge_base)
    _require_valid(payload.kind, payload.options)
    row = source_create(
        knowledge_base=base,
        kind=payload.kind,
        name=payload.name,
        options=payload.options,
        readers=payload.readers,
        directory=payload.directory,
        match_email=payload.match_email,
        enabled=payload.enabled,
        every_seconds=payload.every_seconds.by_task(),
        principal=principal,
    )
    return Status(201, ConnectedSource.of(row))


@router.get("/{source_id}", summary="Get a source", response=ConnectedSource, auth=MANAGERS)
def connected_source_show(request: HttpRequest, source_id: str) -> ConnectedSource:
    """Returns a source with the state of its tasks. Secrets are never returned."""
    return ConnectedSource.of(source_for(principal_of(request), source_id))


@router.patch("/{source_id}", summary="Change a source", response=ConnectedSource, auth=ADMINS)
def connected_source_change(
    request: HttpRequest, source_id: str, payload: ConnectedSourcePatch
) -> ConnectedSource:
    """Changes, pauses (`enabled: false`) or resumes a source."""
    principal = principal_of(request)
    changes = payload.sent
    if "every_seconds" in changes:
        changes["every_seconds"] = changes["every_seconds"].by_task()
    row = source_update(source=source_for(principal, source_id), principal=principal, **changes)
    return ConnectedSource.of(row)


@router.delete("/{source_id}", summary="Delete a source", response={204: None}, auth=ADMINS)
def connected_source_remove(
    request: HttpRequest, source_id: str, query: Query[DeletionQuery]
) -> Status[None]:
    """Deletes a source with its credentials and permissions. Its documents are deleted, or kept for the
    managers of the knowledge base. Nothing changes in the source itself.
    """
    principal = principal_of(request)
    row = source_for(principal, source_id)
    source_delete(source=row, principal=principal, delete_documents=query.delete_documents)
    return Status(204, None)


@router.post("/{source_id}/check", summary="Test a source", response=ConnectedSourceCheck, auth=ADMINS)
def connected_source_test(request: HttpRequest, source_id: str) -> ConnectedSourceCheck:
    """Connects, signs in, lists and reads with the stored options, within 25 seconds."""
    principal = principal_of(request)
    return ConnectedSourceCheck.of(check_stored(source_for(principal, source_id), actor=principal.actor))


@router.post("/{source_id}/dry-run", summary="Preview a source", response=ConnectedSourceDryRun, auth=ADMINS)
def connected_source_preview(request: HttpRequest, source_id: str) -> ConnectedSourceDryRun:
    """Lists what the stored options would import, within 25 seconds and 2,000 items."""
    principal = principal_of(request)
    return ConnectedSourceDryRun.of(list_stored(source_for(principal, source_id), actor=principal.actor))


@router.post("/{source_id}/sync", summary="Sync a source now", response={202: ConnectedSource}, auth=ADMINS)
def connected_source_sync(
    request: HttpRequest, source_id: str, payload: SyncRequest
) -> Status[ConnectedSource]:
    """Runs a task as soon as a worker is free. 409 while it is running; 422 if the source doesn't have it."""
    principal = principal_of(request)
    row = source_for(principal, source_id)
    source_request(source=row, task=payload.task, full=payload.full, principal=principal)
    return Status(202, ConnectedSource.of(row))


@router.post(
    "/{source_id}/verification",
    summary="Verify the permissions of a source",
    response={202: ConnectedSourceVerification},
    auth=ADMINS,
)
def connected_source_verification_start(
    request: HttpRequest, source_id: str
) -> Status[ConnectedSourceVerification]:
    """Compares who can read random documents here with what the source says now, and corrects differences.
    Returns the verification that is already running, if there is one. 409 while the source is paused; 422 if
    it doesn't decide who may read.
    """
    principal = principal_of(request)
    row = verification_begin(source=source_for(principal, source_id), principal=principal)
    return Status(202, ConnectedSourceVerification.of(row))


@router.get(
    "/{source_id}/verification",
    summary="Get the verification of a source",
    response=ConnectedSourceVerification,
    auth=ADMINS,
)
def connected_source_verification_show(request: HttpRequest, source_id: str) -> ConnectedSourceVerification:
    """Returns the last verification. 404 if there is none."""
    row = last_verification(source_for(principal_of(request), source_id))
    if row is None:
        raise NotFound
    return ConnectedSourceVerification.of(row)


@router.post(
    "/{source_id}/webhook",
    summary="Create a webhook of a source",
    response={201: NewConnectedSourceWebhook},
    auth=ADMINS,
)
def connected_source_webhook_add(request: HttpRequest, source_id: str) -> Status[NewConnectedSourceWebhook]:
    """Creates the address and secret with which the system reports changes, or replaces the secret. 422 if
    the kind of source receives no webhooks.
    """
    principal = principal_of(request)
    row = source_for(principal, source_id)
    secret = webhook_create(source=row, principal=principal)
    url = request.build_absolute_uri(reverse("source-webhook", args=[str(row.id)]))
    return Status(201, NewConnectedSourceWebhook(url=url, secret=secret))


@router.delete(
    "/{source_id}/webhook", summary="Remove the webhook of a source", response={204: None}, auth=ADMINS
)
def connected_source_webhook_remove(request: HttpRequest, source_id: str) -> Status[None]:
    """Forgets the secret. Webhooks are refused from then on."""
    principal = principal_of(request)
    webhook_remove(source=source_for(principal, source_id), principal=principal)
    return Status(204, None)


@router.get(
    "/{source_id}/items", summary="List items of a source", response=Page[ConnectedSourceItem], auth=MANAGERS
)
def connected_source_items(
    request: HttpRequest, source_id: str, query: Query[ConnectedSourceItemQuery]
) -> Page[ConnectedSourceItem]:
    """Lists what the source contains, with the state of each item and the reason why it wasn't imported."""
    row = source_for(principal_of(request), source_id)
    state = SourceItemState(query.state) if query.state else None
    found = numbered_page(items_of(row, state=state, containing=query.q), query, by="id")
    return Page(items=[ConnectedSourceItem.of(item) for item in found.rows], next_cursor=found.next_cursor)


@router.get(
    "/{source_id}/people",
    summary="List people of a source",
    response=Page[ConnectedSourcePerson],
    auth=ADMINS,
)
def connected_source_people(
    request: HttpRequest, source_id: str, query: Query[ConnectedSourcePeopleQuery]
) -> Page[ConnectedSourcePerson]:
    """Lists people and groups of the source, with the accounts that people are linked to."""
    row = source_for(principal_of(request), source_id)
    only = PeopleFilter(query.show) if query.show else None
    found = numbered_page(people_of(row, only=only, containing=query.q), query, by="id")
    return Page(
        items=[ConnectedSourcePerson.of(person) for person in found.rows], next_cursor=found.next_cursor
    )


@router.put(
    "/{source_id}/people/{person_id}",
    summary="Link a person of a source",
    response=ConnectedSourcePerson,
    auth=ADMINS,
)
def connected_source_person_link(
    request: HttpRequest, source_id: str, person_id: str, payload: PersonLink
) -> ConnectedSourcePerson:
    """Links a person to an account, or to none, regardless of the directory. Applies immediately."""
    principal = principal_of(request)
    row = source_for(principal, source_id)
    return ConnectedSourcePerson.of(link_person(row, person_id, payload.user, principal=principal))


def _item_state(row: SourceItem) -> SourceItemState:
    if row.excluded:
        return SourceItemState.EXCLUDED
    if row.error:
        return SourceItemState.FAILED
    return SourceItemState.SYNCED if row.version == row.synced_version else SourceItemState.PENDING


def _require_valid(kind: str, options: Mapping[str, Any]) -> None:
    """Raise InvalidFields with every invalid option, without the values sent."""
    try:
        get_kind(kind).options.model_validate(options)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        raise InvalidFields([field_error(dict(each), "body", "options") for each in errors]) from None
