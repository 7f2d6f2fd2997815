"""Chat models that are tried out while the configured one continues to answer people."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cairn.errors import InvalidInput
from cairn.inference.chat import open_chat_model
from cairn.inference.model_identity import ModelPlace, place_of
from cairn.messages import CodedMessage
from cairn.settings import Environment, environment
from cairn.settings.chat_models import NAMES
from cairn.settings.stored.models import ModelType, RegisteredModel
from cairn.settings.stored.store import effective_environment, overrides_of_model
from retrieval.engine import Engine, get_engine


def settings_for(name: str | None) -> Environment:
    """Return the settings with which a model answers: the one in use for None, else a registered model, the
    one in use, or one that Cairn runs itself. Raises InvalidInput for an unknown name."""
    current = effective_environment()
    if name is None:
        return current
    row = RegisteredModel.objects.filter(name=name, type=ModelType.CHAT).first()
    if row is not None:
        return environment().with_stored(overrides_of_model(row))
    if name == current.chat_model_name:
        return current
    if name not in NAMES:
        raise InvalidInput(CodedMessage("unknown_model", name=name, names=", ".join(list_names())))
    return current.model_copy(update={"llm_class": None, "llm_base_url": None, "llm_model": name})


def list_names() -> list[str]:
    """Return the names of the models that can be tried out, beginning with the one in use."""
    names = dict.fromkeys((find_name(place_of(effective_environment())), *_list_registered(), *NAMES))
    return [name for name in names if name]


def find_name(place: ModelPlace) -> str:
    """Return the name by which admins know a model: the one it is registered by, else its own."""
    found = (name for name in _list_registered() if place_of(settings_for(name)) == place)
    return next(found, place.name)


def _list_registered() -> list[str]:
    rows = RegisteredModel.objects.filter(type=ModelType.CHAT).order_by("name")
    return list(rows.values_list("name", flat=True))


@contextmanager
def open_candidate(settings: Environment) -> Iterator[Engine]:
    """Open an engine in which the model of these settings answers, for as long as it is used."""
    engine = get_engine()
    if place_of(settings) == place_of(effective_environment()):
        yield engine
        return
    chat = open_chat_model(settings)
    try:
        yield replace(engine, chat=chat, writes_answers=settings.writes_answers, candidate=settings)
    finally:
        chat.close()
