"""Races between two web processes on one PostgreSQL: whoever sends many requests at once, to both, gets no
more than whoever sends them one after the other."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.servers import ROOT, run_manage, server_environment
from tests.web.cluster.site import QUESTION, Site, Writing, running_site
from tests.web.security.attacks.recorder import Attack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
PARTS = 8
CLAIM = """
import django, json, sys
django.setup()
from cairn.celery import app
from ingestion.jobs.lifecycle import claim_next
from ingestion.models import Lane
sys.stdin.readline()
claimed = []
while (lease := claim_next(Lane.BULK)) is not None:
    claimed.append(str(lease.job))
print(json.dumps(claimed))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Writing(), tmp_path_factory.mktemp("races")) as made:
        yield made


@pytest.fixture
def both(site: Site) -> Iterator[Sequence[httpx.Client]]:
    """An admin's clients of the two processes."""
    with ExitStack() as stack:
        yield [stack.enter_context(site.at(port)) for port in site.ports]


Send = Callable[[httpx.Client], httpx.Response]


def at_once(senders: Sequence[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Start all of them together."""
    barrier = threading.Barrier(len(senders))

    def run(send: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait()
        return send()

    with ThreadPoolExecutor(len(senders)) as pool:
        return list(pool.map(run, senders))


def spread(both: Sequence[httpx.Client], count: int, send: Send) -> list[httpx.Response]:
    """The same request so many times at once, in turn to the one process and the other."""
    return at_once([lambda number=number: send(both[number % 2]) for number in range(count)])


def statuses(responses: Sequence[httpx.Response]) -> Counter[int]:
    return Counter(each.status_code for each in responses)


def new_name() -> str:
    return f"race-{uuid4().hex[:12]}"


class Person:
    """A user with a key, and clients of both processes."""

    def __init__(self, site: Site, admin: httpx.Client, stack: ExitStack, **fields: Any) -> None:
        self.name = new_name()
        made = admin.post("/users", json={"username": self.name, **fields})
        assert made.status_code == 201, made.text
        self.id = made.json()["id"]
        key = run_manage(
            site.install.data_dir, "create_api_key", "--user", self.name, "--name", "t", "--json",
            **site.install.settings,
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {json.loads(key.stdout)['key']}"}
        self.both = [
            stack.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=60)
            )
            for port in site.ports
        ]


Make = Callable[..., Person]


@pytest.fixture
def person(site: Site, both: Sequence[httpx.Client]) -> Iterator[Make]:
    """Create a user whose connections end with the test."""
    with ExitStack() as stack:
        yield lambda **fields: Person(site, both[0], stack, **fields)


def new_base(admin: httpx.Client) -> str:
    made = admin.post("/knowledge-bases", json={"name": new_name()})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def upload(client: httpx.Client, base: str, name: str = "", **headers: str) -> httpx.Response:
    name = name or f"{new_name()}.md"
    return client.post(
        f"/knowledge-bases/{base}/documents", files={"file": (name, f"# {name}".encode())}, headers=headers
    )


def give(admin: httpx.Client, base: str, *grants: tuple[str, str]) -> httpx.Response:
    found = admin.get(f"/knowledge-bases/{base}/grants").json()
    kept = [each for each in found if each["role"] == "manager"]
    wanted = [{"subject": f"user:{person}", "role": role} for person, role in grants]
    kept = [{"subject": each["subject"], "role": each["role"]} for each in kept]
    return admin.put(f"/knowledge-bases/{base}/grants", json=[*kept, *wanted])


# Limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["uploads_per_minute", "uploads_per_day"])
def test_concurrent_uploads_stay_within_limits(
    attack: Attack, person: Make, both: Sequence[httpx.Client], measure: str
) -> None:
    rob, base = person(), new_base(both[0])
    assert give(both[0], base, (rob.id, "editor")).status_code == 200
    limited = both[0].put("/limits", json={"subject": f"user:{rob.id}", "limits": {measure: 3}})
    assert limited.status_code == 200, limited.text
    found = statuses(spread(rob.both, 12, lambda client: upload(client, base)))
    attack.refused(found[202] <= 3 and found[429] == 12 - found[202], found)
    attack.allowed(found[202] == 3, found)


def test_concurrent_questions_stay_within_limits(
    attack: Attack, person: Make, both: Sequence[httpx.Client]
) -> None:
    rob = person()
    limit = {"subject": f"user:{rob.id}", "limits": {"questions_per_day": 2}}
    assert both[0].put("/limits", json=limit).status_code == 200
    found = statuses(spread(rob.both, 8, lambda client: client.post("/ask", json={"question": QUESTION})))
    attack.refused(found[200] <= 2 and found[429] == 8 - found[200], found)
    attack.allowed(found[200] == 2, found)


# Idempotency ----------------------------------------------------------------------------------------------


def test_concurrent_equal_uploads_are_processed_once(attack: Attack, both: Sequence[httpx.Client]) -> None:
    base, key = new_base(both[0]), new_name()
    name = f"{new_name()}.md"
    answers = spread(both, 10, lambda client: upload(client, base, name, **{"Idempotency-Key": key}))
    documents = {each.json()["document"]["id"] for each in answers if each.status_code in (200, 202)}
    listed = both[1].get(f"/knowledge-bases/{base}/documents").json()["items"]
    attack.refused(len(documents) == 1 and len(listed) == 1, (statuses(answers), listed))
    attack.allowed(statuses(answers)[202] >= 1, statuses(answers))


def test_idempotency_key_for_different_uploads_accepts_one(
    attack: Attack, both: Sequence[httpx.Client]
) -> None:
    base, key = new_base(both[0]), new_name()
    answers = spread(both, 8, lambda client: upload(client, base, **{"Idempotency-Key": key}))
    listed = both[1].get(f"/knowledge-bases/{base}/documents").json()["items"]
    attack.refused(len(listed) == 1, (statuses(answers), listed))
    attack.allowed(statuses(answers)[202] == 1, statuses(answers))


def test_concurrent_completions_of_an_upload_succeed_once(
    attack: Attack, both: Sequence[httpx.Client]
) -> None:
    base, content = new_base(both[0]), b"# In parts"
    begun = (
        both[0]
        .post("/uploads", json={"knowledge_base": base, "filename": "parts.md", "size": len(content)})
        .json()["id"]
    )
    sent = both[0].patch(
        f"/uploads/{begun}?offset=0", content=content, headers={"Content-Type": "application/octet-stream"}
    )
    assert sent.status_code < 300, sent.text
    answers = spread(both, PARTS, lambda client: client.post(f"/uploads/{begun}/complete"))
    documents = {each.json()["document"]["id"] for each in answers if each.status_code == 202}
    listed = both[1].get(f"/knowledge-bases/{base}/documents").json()["items"]
    attack.refused(len(listed) == 1 and len(documents) == 1, (statuses(answers), listed))
    attack.allowed(statuses(answers)[202] >= 1, statuses(answers))


# Rights ---------------------------------------------------------------------------------------------------


@pytest.fixture
def readable(site: Site, both: Sequence[httpx.Client]) -> str:
    """A knowledge base with a document that can be found."""
    base = new_base(both[0])
    name = f"{new_name()}.md"
    text = b"# Umbra\n\nThe Umbra merger closes on 14 June."
    made = both[0].post(f"/knowledge-bases/{base}/documents", files={"file": (name, text)})
    assert made.status_code == 202, made.text
    site.install.wait_settled()
    return base


READS: dict[str, Callable[[httpx.Client, str], bool]] = {
    "search": lambda client, base: bool(
        client.post("/search", json={"query": "Umbra merger", "knowledge_bases": [base]})
        .json()
        .get("results")
    ),
    "ask": lambda client, base: (
        "14 June" in client.post("/ask", json={"question": "When does the Umbra merger close?"}).text
    ),
    "list": lambda client, base: base in client.get("/knowledge-bases").text,
    "documents": lambda client, base: client.get(f"/knowledge-bases/{base}/documents").status_code == 200,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_revocation_applies_immediately_in_other_processes(
    attack: Attack, person: Make, both: Sequence[httpx.Client], readable: str, read: Any
) -> None:
    """Readers ask the one process without pause, while the grant is taken away through the other. No request
    that begins after the revocation was answered finds anything."""
    rob = person()
    assert give(both[0], readable, (rob.id, "reader")).status_code == 200
    attack.allowed(read(rob.both[1], readable))
    revoked, late = threading.Event(), list[bool]()

    def keep_asking() -> None:
        while True:
            after = revoked.is_set()
            found = read(rob.both[1], readable)
            if after:
                late.append(found)
                return

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    answer = give(both[0], readable)
    revoked.set()
    for thread in threads:
        thread.join()
    assert answer.status_code == 200, answer.text
    attack.refused(len(late) == 3 and not any(late), late)


def test_revoked_key_is_rejected_immediately_by_other_processes(
    attack: Attack, person: Make, both: Sequence[httpx.Client]
) -> None:
    rob = person()
    attack.allowed(statuses([client.get("/me") for client in rob.both]) == {200: 2})
    disabled = both[0].patch(f"/users/{rob.id}", json={"is_active": False})
    assert disabled.status_code == 200
    attack.refused(statuses([client.get("/me") for client in rob.both]) == {401: 2})


@pytest.mark.parametrize("turn", range(3))
def test_concurrent_demotions_leave_one_admin(
    attack: Attack, person: Make, both: Sequence[httpx.Client], turn: int
) -> None:
    """The admins demote one another, each through another process."""
    first = both[0].get("/me").json()["id"]
    second = person(is_admin=True)
    answers = at_once(
        [
            lambda: both[0].patch(f"/users/{second.id}", json={"is_admin": False}),
            lambda: second.both[1].patch(f"/users/{first}", json={"is_admin": False}),
        ]
    )
    admins = [client.get("/me").json()["is_admin"] for client in (both[0], second.both[0])]
    attack.refused(any(admins), [each.text for each in answers])
    attack.allowed(statuses(answers)[200] == 1, [each.text for each in answers])
    if not admins[0]:
        assert second.both[0].patch(f"/users/{first}", json={"is_admin": True}).status_code == 200
        assert both[0].patch(f"/users/{second.id}", json={"is_admin": False}).status_code == 200


def test_concurrent_sharing_and_unsharing_leaves_nothing_shared(
    attack: Attack, person: Make, both: Sequence[httpx.Client]
) -> None:
    rob = person()
    asked = both[0].post("/ask", json={"question": QUESTION}).json()["conversation"]
    address, subjects = f"/conversations/{asked}/share", {"subjects": [f"user:{rob.id}"]}
    shared = both[0].put(address, json=subjects)
    assert shared.status_code == 200, shared.text
    share = shared.json()["id"]
    attack.allowed(statuses([each.get(f"/shared/{share}") for each in rob.both]) == {200: 2})
    answers = at_once(
        [
            lambda number=number: (
                both[number % 2].put(address, json=subjects)
                if number % 3
                else both[number % 2].delete(address)
            )
            for number in range(9)
        ]
    )
    assert set(statuses(answers)) <= {200, 204, 404, 409, 503}, "at worst, somebody has to try again"
    current = [each.json()["id"] for each in answers if each.status_code == 200 and each.content]
    both[0].delete(address)
    ids = {share, *current}
    found = statuses([client.get(f"/shared/{each}") for client in rob.both for each in ids])
    attack.refused(set(found) == {404}, found)


# Names ----------------------------------------------------------------------------------------------------


def test_concurrent_knowledge_bases_never_share_a_slug(attack: Attack, both: Sequence[httpx.Client]) -> None:
    name = new_name()
    answers = spread(both, 10, lambda client: client.post("/knowledge-bases", json={"name": name}))
    slugs = [each.json()["slug"] for each in answers if each.status_code == 201]
    attack.refused(len(slugs) == len(set(slugs)) and set(statuses(answers)) <= {201, 409}, statuses(answers))
    attack.allowed(len(slugs) >= 1, statuses(answers))


def test_slug_of_an_erased_knowledge_base_is_not_reused(attack: Attack, both: Sequence[httpx.Client]) -> None:
    """While it is deleted through one process, the other creates knowledge bases with its name."""
    name = new_name()
    made = both[0].post("/knowledge-bases", json={"name": name}).json()
    answers = at_once(
        [
            lambda: both[0].delete(f"/knowledge-bases/{made['id']}"),
            *(lambda: both[1].post("/knowledge-bases", json={"name": name}) for _ in range(5)),
        ]
    )
    slugs = [each.json()["slug"] for each in answers[1:] if each.status_code == 201]
    attack.refused(made["slug"] not in slugs and len(slugs) == len(set(slugs)), slugs)
    attack.allowed(answers[0].status_code == 202, answers[0].text)


@pytest.mark.parametrize("change", [str, str.upper], ids=["the same", "other case"])
def test_concurrent_users_cannot_share_a_name(
    attack: Attack, both: Sequence[httpx.Client], change: Any
) -> None:
    name = new_name()
    names = [name if number % 2 else change(name) for number in range(8)]
    answers = at_once(
        [
            lambda number=number: both[number % 2].post("/users", json={"username": names[number]})
            for number in range(8)
        ]
    )
    attack.refused(statuses(answers)[201] <= 1, statuses(answers))
    assert set(statuses(answers)) <= {201, 409, 422}, "the others are told that it is taken"
    attack.allowed(statuses(answers)[201] == 1, statuses(answers))


# Work -----------------------------------------------------------------------------------------------------


def test_concurrent_workers_claim_a_job_once(
    attack: Attack, site: Site, both: Sequence[httpx.Client]
) -> None:
    """By two processes that empty the queue concurrently, next to the running worker."""
    environment = server_environment(site.install.data_dir, **site.install.settings)
    path = f"{ROOT}:{ROOT}/platform"
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM], cwd=ROOT, env={**environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    base = new_base(both[0])
    jobs = [upload(both[number % 2], base).json()["job"]["id"] for number in range(20)]
    claimed = [json.loads(each.communicate("go\n")[0].splitlines()[-1]) for each in claimers]
    taken = [job for each in claimed for job in each]
    attack.refused(len(taken) == len(set(taken)), claimed)
    site.install.wait_settled(patience=180)
    ready = [both[0].get(f"/jobs/{job}").json()["stage"] for job in jobs]
    attack.allowed(set(ready) == {"ready"}, ready)


# Signing in -----------------------------------------------------------------------------------------------


def test_concurrent_guessing_is_throttled_like_sequential_guessing(
    attack: Attack, site: Site, person: Make, both: Sequence[httpx.Client]
) -> None:
    password = "a long enough passphrase"
    rob = person(password=password)
    other = person(password=password)

    def sign_in(number: int, name: str, given: str) -> httpx.Response:
        url = f"http://127.0.0.1:{site.ports[number % 2]}/login"
        with httpx.Client(timeout=60) as browser:
            page = browser.get(url)
            token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
            form = {"username": name, "password": given, "csrfmiddlewaretoken": token}
            return browser.post(url, data=form)

    answers = at_once([lambda number=number: sign_in(number, rob.name, "wrong") for number in range(30)])
    found = statuses(answers)
    attack.refused(found[429] >= 30 - 20, found)
    attack.allowed(sign_in(0, other.name, password).status_code in (302, 429))
