"""The health report, for admins."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils import translation
from ninja import Router
from pydantic import BaseModel, Field

from web.api.row_schema import RowSchema
from web.health.report import CheckedPart, health_report
from web.health.results import HealthState
from web.http.authentication import needs

router = Router(tags=["Health"], auth=needs(admin=True))


class HealthCheck(RowSchema):
    """The result of one check, in English. `detail` is the error of a library, if there was one."""

    name: str = Field(description="Stable, such as `workers` or `language_model`")
    label: str
    state: HealthState
    message: str
    remedy: str = Field(description="What to do; empty if nothing is wrong")
    command: str = Field(description="A command to run on the server, or empty")
    page: str = Field(description="The path of a page about this part, or empty")
    detail: str

    @classmethod
    def of(cls, part: CheckedPart) -> "HealthCheck":
        result = part.result
        return cls.read(
            result,
            name=part.name,
            label=str(part.label),
            page=reverse(f"pages:{result.page}") if result.page else "",
        )


class Health(BaseModel):
    """All checks. `state` is the worst of them."""

    state: HealthState
    checks: list[HealthCheck]


@router.get("", summary="Check the installation", response=Health)
def health_get(request: HttpRequest) -> Health:  # noqa: ARG001 - passed by name
    """Checks all parts of the installation. A part that doesn't answer within two seconds is a problem. The
    status is 200 whatever the checks find; load balancers should use `/readyz`.
    """
    with translation.override("en"):
        report = health_report()
        return Health(state=report.state, checks=[HealthCheck.of(part) for part in report.parts])
