"""OpenAPI 3.1 description, with the keys' scopes and the problems that any operation may return."""

from functools import cache
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from web.api.framework.error_codes import codes_table
from web.api.framework.examples import PROBLEM as PROBLEM_EXAMPLE
from web.api.framework.examples import add_examples, load_examples
from web.api.framework.problems import MEDIA_TYPE
from web.api.schemas import Problem
from web.http.authentication import BearerKey

PROBLEM = {
    "description": "What is wrong. Programs should look at `code`:\n\n" + codes_table(),
    "content": {
        MEDIA_TYPE: {
            "schema": {"$ref": REF_TEMPLATE.format(model="Problem")},
            "example": load_examples()[PROBLEM_EXAMPLE]["response"],
        }
    },
}


class _Described(OpenAPISchema):
    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        details["responses"]["default"] = PROBLEM
        details["description"] = "\n\n".join(
            filter(None, [details.get("description"), _scopes_text(operation)])
        )
        add_examples(details["operationId"], details)
        return details

    def operation_security(self, operation: Operation) -> list[dict[str, Any]] | None:
        security = super().operation_security(operation)
        for requirement in security or []:
            if BearerKey.__name__ in requirement:
                requirement[BearerKey.__name__] = list(_scopes(operation))
        return security

    def get_components(self) -> dict[str, Any]:
        self.add_schema_definitions({"Problem": Problem.model_json_schema(ref_template=REF_TEMPLATE)})
        components: dict[str, Any] = super().get_components()
        return components


def _scopes(operation: Operation) -> tuple[str, ...]:
    return next((each.scopes for each in operation.auth_callbacks if isinstance(each, BearerKey)), ())


def _scopes_text(operation: Operation) -> str:
    scopes = " or ".join(f"`{scope}`" for scope in _scopes(operation))
    return f"A key needs the scope {scopes}." if scopes else "Any key will do."


@cache
def _build_schema(api: NinjaAPI, path_prefix: str) -> _Described:
    """Build the schema once for each prefix; it is the same for all users."""
    return _Described(api, path_prefix)


class DescribedAPI(NinjaAPI):
    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        return _build_schema(
            self, self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        )

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__
