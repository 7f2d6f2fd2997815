"""Admin services for index generations. The work follows on commit."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.audit.services import record
from cairn.errors import ConfigurationError, Conflict, InvalidInput
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.registry import EmbedderChoice, configured_embedder
from cairn.messages import CodedMessage
from cairn.settings.dotted_paths import is_dotted
from ingestion import broker
from retrieval.index.generations import active_generation, choice_of, new_name
from retrieval.models import GenerationState, IndexGeneration

_AHEAD = (GenerationState.BUILDING, GenerationState.READY)


def next_generation() -> IndexGeneration | None:
    """The generation that is being built or ready to be swapped in."""
    return IndexGeneration.objects.filter(state__in=_AHEAD).first()


def generation_build(*, principal: Principal, model: str | None = None) -> IndexGeneration:
    """Start a build or resume the existing one. Without `model`, that of the active generation is used.

    Raises InvalidInput for an unknown model, and Conflict if a build with another model exists.
    """
    requested = _choice(model) if model else None
    answering = choice_of(active_generation())
    with transaction.atomic():
        IndexGeneration.objects.active().select_for_update().get()
        row = next_generation()
        if row is None:
            row = _begin(requested or answering, principal)
        elif requested not in {None, choice_of(row)}:
            raise Conflict(CodedMessage("index_being_built", model=row.encoder))
        else:
            IndexGeneration.objects.filter(pk=row.pk).update(error="")
        transaction.on_commit(broker.enqueue_reindex, robust=True)
    row.refresh_from_db()
    return row


def _begin(choice: EmbedderChoice, principal: Principal) -> IndexGeneration:
    row = IndexGeneration.objects.create(
        name=new_name(), encoder=choice.model, served=choice.served, dimension=0
    )
    record("index.build", actor=principal.actor, subject=f"generation:{row.id}", model=choice.model)
    return row


def _choice(model: str) -> EmbedderChoice:
    """Check the model of a request. Only the operator's EMBEDDING_MODEL may name code to run."""
    choice = EmbedderChoice(model, configured_embedder().served)
    if choice.served:
        return choice
    if is_dotted(model):
        if choice != configured_embedder():
            raise InvalidInput(CodedMessage("embedding_class_refused", model=model))
        return choice
    try:
        EncoderFolder.of(model)
    except ConfigurationError as error:
        raise InvalidInput(error.message) from error
    return choice


def generation_swap(*, principal: Principal, force: bool = False) -> IndexGeneration:
    """Request the swap to the ready generation. Raises Conflict if none is ready.

    Also raises Conflict if the comparison found it clearly worse, unless `force` is set.
    """
    row = next_generation()
    if row is None or row.state != GenerationState.READY:
        raise Conflict(gettext_noop("No index is ready to activate."))
    if row.comparison.get("worse") and not force:
        measures = ", ".join(row.comparison["worse"])
        raise Conflict(CodedMessage("index_worse", measures=measures), code="worse")
    return _request_swap(row, principal, "index.swap")


def generation_rollback(*, principal: Principal) -> IndexGeneration:
    """Request the swap back to the retired generation. Raises Conflict if there is none."""
    row = IndexGeneration.objects.retired().first()
    if row is None:
        raise Conflict(gettext_noop("There’s no previous index to roll back to."))
    return _request_swap(row, principal, "index.rollback")


def _request_swap(row: IndexGeneration, principal: Principal, action: str) -> IndexGeneration:
    with transaction.atomic():
        waiting = IndexGeneration.objects.filter(pk=row.pk, state=row.state)
        if not waiting.update(swap_requested=True, error=""):
            raise Conflict(gettext_noop("The index state has just changed. Try again."))
        record(action, actor=principal.actor, subject=f"generation:{row.id}")
        transaction.on_commit(broker.enqueue_reindex, robust=True)
    row.refresh_from_db()
    return row


def generation_remove(*, generation: UUID | str, principal: Principal) -> IndexGeneration:
    """Remove a generation and stop its build. Raises NotFound, or Conflict for the active one."""
    row = get_or_not_found(IndexGeneration.objects.remaining(), generation)
    with transaction.atomic():
        removable = IndexGeneration.objects.filter(pk=row.pk).exclude(state=GenerationState.ACTIVE)
        if not removable.update(state=GenerationState.REMOVING, swap_requested=False, error=""):
            raise Conflict(gettext_noop("The active index can’t be removed."))
        record("index.removed", actor=principal.actor, subject=f"generation:{row.id}")
        transaction.on_commit(broker.enqueue_reindex, robust=True)
    row.refresh_from_db()
    return row
