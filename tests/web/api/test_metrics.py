from django.test import Client

from cairn.library.models import Document
from tests.web.api.conftest import Caller, assert_problem

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def test_metrics_are_open_to_the_local_machine(document: Document, mia: Caller) -> None:
    mia.get("/jobs/nonsense")
    response = Client().get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    lines = response.content.decode().splitlines()
    assert 'cairn_jobs{stage="queued"} 1.0' in lines
    assert 'cairn_jobs{stage="failed"} 0.0' in lines
    assert "cairn_documents 1.0" in lines
    counted = 'cairn_api_requests_total{method="GET",route="v1/jobs/<job_id>",status="404"}'
    assert any(line.startswith(counted) for line in lines)


def test_metrics_from_other_machines_need_an_admin_key(mia: Caller, admin: Caller) -> None:
    for headers in [{}, {"X-Forwarded-For": "127.0.0.1"}]:
        extra = ELSEWHERE if not headers else {}
        assert_problem(Client().get("/metrics", headers=headers, **extra), 401, "not_signed_in")
    for caller, status in [(mia, 403), (admin, 200)]:
        response = Client().get("/metrics", headers={"Authorization": f"Bearer {caller.key}"}, **ELSEWHERE)
        assert response.status_code == status
