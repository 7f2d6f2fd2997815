"""Language models that operators set on the server: the gate can't refuse these, so they're recorded."""

from typing import Final

from django.db import transaction

from cairn.audit.hash_chain import lock_head
from cairn.audit.models import Event
from cairn.audit.services import record
from cairn.inference.model_identity import place_of
from cairn.settings.chat_models import PACKAGED
from cairn.settings.stored.store import chat_model_variable, effective_environment

OUTSIDE_GATE: Final = "model.activated_outside_gate"
_INSTALL: Final = "manage.py models install"
_ACTIVATIONS: Final = (OUTSIDE_GATE, "model.activated", "model.retired")


def find_operator_choice() -> str:
    """Return the variable or command by which an operator chose the language model that answers; "" if
    admins chose it, or nobody did."""
    if variable := chat_model_variable():
        return variable
    local = effective_environment().local_chat_model
    return _INSTALL if local and local != PACKAGED else ""


def operator_choice_record() -> None:
    """Record that an operator has chosen another model than before. Called when a process starts, since
    operators change the environment and install models between two starts."""
    if not (source := find_operator_choice()):
        return
    place = place_of(effective_environment())
    detail = {"model": place.name, "server": place.server, "source": source}
    with transaction.atomic():
        lock_head()  # web processes start at the same time, and one of them records it
        last = Event.objects.filter(action__in=_ACTIVATIONS).order_by("-pk").first()
        if last is None or last.action != OUTSIDE_GATE or last.detail != detail:
            record(OUTSIDE_GATE, actor=None, subject="model:chat", **detail)
