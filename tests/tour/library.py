"""An organisation's shelves: knowledge bases, documents, people and what was measured, put in over REST."""

import time
from collections.abc import Mapping
from typing import Any

import httpx
from fpdf import FPDF

from tests.conftest import PASSWORD

LEAVE = """# Leave and absence

Everyone has thirty days of paid leave a year. It is asked for in the portal and agreed with the team.

## Carrying days over

Up to ten days may be carried over into the next year. They are lost at the end of March unless an illness
kept you from taking them.

## Donating leave

Employees may donate at most 42 hours of annual leave to a colleague in each calendar year. Both sides agree
in writing; the people team enters it in the portal.

| Kind of leave | Days | Asked for |
| --- | --- | --- |
| Annual leave | 30 | two weeks ahead |
| Parental leave | 90 | three months ahead |
| Moving house | 1 | one week ahead |
"""
TRAVEL = (
    "Trains are booked by the travel desk. Flights under four hours are replaced by trains.",
    "Meals are paid for with a flat rate of 28 euros a day. Receipts are handed in within a month.",
)
LIMITS = """Spending,Limit in EUR,Signed by
Books,200,nobody
Training,1500,the team's lead
Hardware,3000,the head of IT
"""
SECURITY = """# Handling of data

Personal data stays on the organisation's own machines. A laptop that is lost is reported to the help desk
within an hour, at any time of day.
"""
TITLE_WITHOUT_A_BREAK = "Betriebsvereinbarung-Arbeitszeiterfassung-Nachtschichtzuschlaege-Bereitschaftsdienst"


def pdf() -> bytes:
    document = FPDF()
    document.set_title("Travel")
    document.set_font("Helvetica", size=12)
    for text in TRAVEL:
        document.add_page()
        document.multi_cell(0, 8, text)
    return bytes(document.output())


def filled(api: httpx.Client) -> dict[str, Any]:
    """The ids of what was made, by the names of the routes' parameters; `documents` by their file's name."""
    people = {name: _made(api, "/users", username=name, password=PASSWORD) for name in ("una", "rob", "mia")}
    _made(api, "/users", username="newcomer", password=PASSWORD)
    group = _made(api, "/groups", name="People team", members=[people["una"]["id"], people["mia"]["id"]])
    base = _made(
        api, "/knowledge-bases", name="People and policies", description="How we work, travel and take leave."
    )
    empty = _made(api, "/knowledge-bases", name="Contracts")
    _made(api, "/knowledge-bases", name="IT handbook", description="Machines, accounts and what to do when.")
    grants = [
        {"subject": f"group:{group['id']}", "role": "editor"},
        {"subject": f"user:{people['rob']['id']}", "role": "reader"},
    ]
    _done(api.put(f"/knowledge-bases/{base['id']}/grants", json=grants))
    documents = _documents(api, base["id"])
    gold = {"question": "How many days may be carried over?", "kind": "paraphrase"}
    known = _made(
        api, f"/knowledge-bases/{base['id']}/gold-questions", **gold, relevant=[documents["leave.md"]]
    )
    rule = _made(
        api,
        "/usage-rules",
        name="Salaries",
        phrases=["salar*", "payslip*"],
        reply="Please ask Human Resources.",
        declined_examples=["What is Una's salary?"],
        allowed_examples=["When are salaries paid?"],
    )
    assistant = _made(
        api,
        "/assistants",
        name="Leave and travel",
        description="For questions before you go on holiday or on a business trip.",
        instructions="Answer briefly.",
        knowledge_bases=[base["slug"]],
        starter_questions=["How many days of leave do I get?", "Who pays for a train ticket?"],
        subjects=["everyone"],
    )
    model = _made(
        api, "/models", name="mistral-small", base_url="https://llm.example.org/v1", model="mistral-small",
        licence="apache-2.0", location="outside",
    )  # fmt: skip
    runs = [_made(api, "/evaluations", **_evaluation(base["id"], name)) for name in ("before", "after")]
    return {
        "slug": base["slug"],
        "empty": empty["slug"],
        "knowledge_base_id": base["id"],
        "user_id": people["rob"]["id"],
        "group_id": group["id"],
        "document_id": documents["leave.md"],
        "question_id": known["id"],
        "assistant_id": assistant["id"],
        "rule_id": rule["id"],
        "run_id": runs[1]["id"],
        "other_run": runs[0]["id"],
        "documents": documents,
        "name": model["name"],
    }


def _documents(api: httpx.Client, base: str) -> dict[str, str]:
    opened = _made(api, f"/knowledge-bases/{base}/imports", label="shared drive", files=2)
    sent = {
        "leave.md": _sent(api, base, "leave.md", LEAVE.encode()),
        "travel.pdf": _sent(api, base, "travel.pdf", pdf()),
        "limits.csv": _sent(api, base, "limits.csv", LIMITS.encode()),
        "security.md": _sent(api, base, "security.md", SECURITY.encode(), **{"import": opened["id"]}),
        "long.md": _sent(
            api, base, "long.md", SECURITY.encode() + b"\nAnd more.", title=TITLE_WITHOUT_A_BREAK
        ),
        "empty.txt": _sent(api, base, "empty.txt", b" \n"),
    }
    for document in sent.values():
        _wait(api, document["job"]["id"])
    return {name: str(each["document"]["id"]) for name, each in sent.items()} | {"import": opened["id"]}


def _sent(api: httpx.Client, base: str, name: str, content: bytes, **form: str) -> Any:
    response = api.post(f"/knowledge-bases/{base}/documents", data=form, files={"file": (name, content)})
    return _done(response)


def _wait(api: httpx.Client, job: str) -> None:
    give_up = time.monotonic() + 120
    while _done(api.get(f"/jobs/{job}"))["stage"] not in {"ready", "failed"}:
        assert time.monotonic() < give_up
        time.sleep(0.2)


def _evaluation(base: str, name: str) -> Mapping[str, Any]:
    asked = {"kind": "paraphrase", "verdict": "supported", "refused": False, "relevant": ["leave.md"]}
    outcomes = [
        {**asked, "id": "a", "question": "How many days may be carried over?", "right": True, "rank": 1,
         "answer": "Up to ten days [1].", "quoted": 1.0, "cited": ["leave.md"]},
        {**asked, "id": "b", "question": "Who pays for meals?", "right": name == "after", "rank": 3,
         "answer": "A flat rate of 28 euros a day [1].", "quoted": 0.5, "cited": ["travel.pdf"]},
    ]  # fmt: skip
    measures = {"ndcg@10": 0.81 if name == "after" else 0.74, "recall@10": 0.9, "mrr": 0.77}
    return {
        "knowledge_base": base, "name": name, "measures": measures, "outcomes": outcomes,
        "gold": {"name": "handbook", "sha256": "a" * 64},
    }  # fmt: skip


def _made(api: httpx.Client, path: str, **body: Any) -> Any:
    return _done(api.post(path, json=body))


def _done(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.request.url}: {response.text}"
    return response.json()
