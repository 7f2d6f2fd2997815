"""Classes of other packages that settings name: what goes wrong is explained, and secrets stay secret."""

from typing import Any

import pytest
from pydantic import BaseModel, model_validator

from cairn.errors import ConfigurationError
from cairn.settings.dotted_paths import create_dotted, is_dotted

KEY = f"sk-{'secret' * 10}"  # so long that pydantic would shorten it in its own message


class Strict(BaseModel):
    model: int = 1
    api_key: str = ""

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, data: Any) -> Any:
        if data.get("api_key"):
            raise ValueError("keys are not supported")
        return data


def message_of(dotted: str, **options: object) -> str:
    with pytest.raises(ConfigurationError) as raised:
        create_dotted("SETTING", dotted, Strict, options, secrets=[KEY])
    assert "secret" not in raised.value.message
    return raised.value.message


def test_dotted_class_is_instantiated() -> None:
    assert create_dotted("SETTING", f"{__name__}.Strict", Strict, {"model": 2}).model == 2


@pytest.mark.parametrize("dotted", ["Strict", "..x", "a..b", "", "qdrant-server"])
def test_malformed_dotted_path_is_rejected(dotted: str) -> None:
    assert not is_dotted(dotted)
    assert "is not a dotted path" in message_of(dotted)


@pytest.mark.parametrize("dotted", ["no_such_module.Class", f"{__name__}.Absent"])
def test_unimportable_dotted_path_is_reported(dotted: str) -> None:
    assert "can't be imported" in message_of(dotted)


def test_pydantic_errors_hide_inputs() -> None:
    assert message_of(f"{__name__}.Strict", api_key=KEY).endswith(
        "can't be created: Value error, keys are not supported"
    )
    assert message_of(f"{__name__}.Strict", model="x").endswith(
        "model: Input should be a valid integer, unable to parse string as an integer"
    )


def test_object_of_another_class_is_rejected() -> None:
    assert "doesn't create an object of the class Strict" in message_of("uuid.uuid4")
