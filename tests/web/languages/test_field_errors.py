"""Pages get errors in fields of REST requests in plain words, in the reader's language."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from pydantic import ValidationError

from cairn.errors import InvalidInput
from tests.web.api.conftest import Caller
from web.api.framework.fields import Body
from web.i18n.field_errors import OTHER_ERROR, describe_field_error

VALID: dict[str, dict[str, Any]] = {
    "usage-rules": {"name": "Salaries", "phrases": ["salary"], "reply": "Ask HR."},
    "models": {
        "name": "m",
        "base_url": "http://localhost:1/v1",
        "model": "m",
        "type": "chat",
        "licence": "apache-2.0",
    },
}
ERRORS: tuple[tuple[str, str, Any, str], ...] = (
    ("usage-rules", "name", " ", "Füllen Sie dieses Feld aus."),
    ("usage-rules", "phrases", [], "Füllen Sie dieses Feld aus."),
    ("usage-rules", "phrases", ["a"] * 101, "Geben Sie höchstens 100 Einträge an."),
    ("usage-rules", "reply", "a" * 2001, "Verwenden Sie höchstens 2.000 Zeichen."),
    ("usage-rules", "reply", 5, "Geben Sie einen Text ein."),
    ("usage-rules", "enabled", "on", "Wählen Sie Ja oder Nein."),
    ("usage-rules", "color", "red", "Diese Option gibt es nicht."),
    ("usage-rules", "name", "\0", "Der Text darf weder NUL noch einzelne Surrogate enthalten."),
    ("models", "shadow_percent", 1.5, "Geben Sie eine ganze Zahl ein."),
    ("models", "shadow_percent", None, "Geben Sie eine ganze Zahl ein."),
    ("models", "shadow_percent", 101, "Geben Sie höchstens 100 ein."),
    ("models", "price_in", "0,5", "Geben Sie eine Zahl ein."),
    ("models", "licence_ends", "soon", "Geben Sie ein Datum an."),
    ("models", "owner", "nobody", "Wählen Sie eine der Möglichkeiten."),
    ("models", "type", "poem", "Wählen Sie eine der Möglichkeiten."),
)


Send = Callable[..., Any]


@pytest.fixture
def german(admin: Caller) -> Send:
    """Send a request as the script of a German page does."""
    client = Client()
    client.force_login(admin.user)
    client.post("/account/language", {"language": "de"})

    def send(path: str, body: Any, method: str = "POST") -> Any:
        return client.generic(method, f"/api/v1/{path}", json.dumps(body), "application/json").json()

    return send


@pytest.mark.parametrize(("path", "field", "value", "text"), ERRORS)
def test_pages_show_field_errors_in_german(
    german: Send, path: str, field: str, value: Any, text: str
) -> None:
    problem = german(path, {**VALID[path], field: value})
    assert [(error["loc"], error["msg"]) for error in problem["errors"]] == [(["body", field], text)]
    assert problem["errors"][0].keys() == {"loc", "msg", "type"}


def test_missing_fields_and_entries_of_lists_are_named(german: Send) -> None:
    problem = german("usage-rules", {"name": "Salaries", "phrases": ["a", "b" * 201]})
    assert [(error["loc"], error["msg"]) for error in problem["errors"]] == [
        (["body", "phrases", 1], "Eintrag 2: Verwenden Sie höchstens 200 Zeichen."),
        (["body", "reply"], "Füllen Sie dieses Feld aus."),
    ]


def test_emptied_field_of_a_change_is_named(german: Send) -> None:
    rule = german("usage-rules", VALID["usage-rules"])
    problem = german(f"usage-rules/{rule['id']}", {"reply": None}, "PATCH")
    assert problem["errors"] == [
        {"loc": ["body", "reply"], "msg": "Darf nicht leer sein.", "type": "value_error"}
    ]


def test_programs_get_the_english_texts_of_pydantic(admin: Caller) -> None:
    problem = admin.post("/usage-rules", {**VALID["usage-rules"], "enabled": "on"}).json()
    assert [error["msg"] for error in problem["errors"]] == ["Input should be a valid boolean"]


WRONG: tuple[Any, ...] = (
    None, "", "x" * 100_000, -(10**9), 10**30, 1.5, 1e-9, True, float("nan"), [], [""] * 6000,
    ["x" * 100_000], [1], {}, {"a": {}}, "2020-13-01", "2020-01-01T00:00:00", "9" * 5000,
)  # fmt: skip
NOT_BY_FORMS = {"list_type", "dict_type", "model_type", "string_pattern_mismatch"}
"""Types whose general text is enough, since forms only send such values if people change their scripts."""


def test_every_type_of_error_that_request_bodies_raise_has_its_text() -> None:
    errors = {error["type"]: error for model in set(_bodies(Body)) for error in _raised(model)}
    assert errors.keys() > {"missing", "extra_forbidden", "string_too_long", "int_type", "decimal_parsing"}
    for kind, error in errors.items():
        with translation.override("en"):
            english = describe_field_error(error)
        with translation.override("de"):
            german = describe_field_error(error)
        assert german != english, kind
        assert "{" not in german, kind
        assert (english == OTHER_ERROR) == (kind in NOT_BY_FORMS), kind


def _bodies(model: type[Body]) -> Iterator[type[Body]]:
    for each in model.__subclasses__():
        yield each
        yield from _bodies(each)


def _raised(model: type[Body]) -> Iterator[dict[str, Any]]:
    for name in model.model_fields:
        for value in WRONG:
            try:
                model.model_validate({name: value, "unknown": 1})
            except InvalidInput:  # has its own text
                continue
            except ValidationError as error:
                yield from ({**each, "loc": ()} for each in error.errors(include_url=False))
