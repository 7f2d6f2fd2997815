"""Lists of users and groups that are searched, sorted and paged on the server, and searchable pickers."""

from collections.abc import Callable

import pytest
from django.test import Client

from cairn.access.models import Grant, Role
from cairn.access.services import readers_replace
from cairn.accounts.confusable_names import name_skeleton
from cairn.accounts.models import Group, User
from cairn.accounts.services import api_key_create, group_create
from cairn.library.models import Document, KnowledgeBase
from cairn.limits.models import Limit
from cairn.limits.services import limit_set
from ingestion.models import Job, Receipt
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]


@pytest.fixture
def crowd(db: None) -> list[User]:
    names = [f"user-{n:03}" for n in range(120)]
    return User.objects.bulk_create(
        User(username=name, name_skeleton=name_skeleton(name), is_active=n % 3 > 0)
        for n, name in enumerate(names)
    )


def _listed(html: str) -> list[str]:
    return [part.partition("</a>")[0].rpartition(">")[2] for part in html.split('<a class="title')[1:]]


def test_users_are_searched_filtered_sorted_and_paged(
    signed_in: SignIn, admin: User, crowd: list[User]
) -> None:
    client = signed_in(admin)
    group = group_create(name="Staff", members=[crowd[7].id, crowd[8].id])

    def listed(query: str) -> list[str]:
        return _listed(text_of(client.get(f"/admin/users?{query}")))

    assert listed("") == ["ada", *(f"user-{n:03}" for n in range(49))]
    assert listed("page=3") == [f"user-{n:03}" for n in range(99, 120)]
    assert listed("page=999") == listed("page=3")
    assert listed("q=SER-11") == [f"user-{n}" for n in range(110, 120)]
    assert listed("q=%") == []
    assert listed(f"group={group.id}") == ["user-007", "user-008"]
    assert listed(f"group={group.id}&q=8") == ["user-008"]
    assert listed("group=nonsense") == []
    assert listed("state=admins") == ["ada"]
    assert listed("state=disabled")[:2] == ["user-000", "user-003"]
    assert listed("sort=oldest")[0] == "ada"
    assert "ada" not in listed("sort=newest")
    assert listed("state=x&sort=x&page=-1") == listed("")
    html = text_of(client.get("/admin/users?q=user&state=active&page=2"))
    assert 'href="?q=user&amp;state=active&amp;page=1"' in html
    assert 'data-filters="q=user&amp;is_active=true"' in html
    assert 'data-total="80"' in html


def test_groups_are_searched_sorted_and_page_their_members(
    signed_in: SignIn, admin: User, crowd: list[User]
) -> None:
    Group.objects.bulk_create(Group(name=f"Team {n:02}") for n in range(60))
    large = group_create(name="Zoo", members=[user.id for user in crowd[:70]])
    client = signed_in(admin)
    assert _listed(text_of(client.get("/admin/groups")))[:2] == ["Team 00", "Team 01"]
    assert _listed(text_of(client.get("/admin/groups?page=2")))[-1] == "Zoo"
    assert _listed(text_of(client.get("/admin/groups?q=zo"))) == ["Zoo"]
    assert _listed(text_of(client.get("/admin/groups?sort=largest")))[0] == "Zoo"
    html = text_of(client.get(f"/admin/groups/{large.id}?page=2"))
    assert _listed(html) == [f"user-{n:03}" for n in range(50, 70)]
    assert f'data-filters="group={large.id}"' in html
    assert _listed(text_of(client.get(f"/admin/groups/{large.id}?q=-03"))) == [
        f"user-{n:03}" for n in range(30, 40)
    ]


def test_unknown_users_and_groups_are_not_found(signed_in: SignIn, admin: User) -> None:
    for path in ("/admin/users/nobody", "/admin/groups/nobody"):
        assert signed_in(admin).get(path).status_code == 404


def _options(client: Client, path: str) -> list[str]:
    return [part.partition('"')[0] for part in text_of(client.get(path)).split('data-label="')[1:]]


def test_pickers_offer_few_and_the_best_first(signed_in: SignIn, admin: User, crowd: list[User]) -> None:
    User.objects.create_user("a-user-110")
    client = signed_in(admin)
    offered = _options(client, "/choices/users?q=user")
    assert len(offered) == 20
    assert offered[0] == "user-000"
    assert "Type more letters" in text_of(client.get("/choices/users?q=user"))
    assert _options(client, "/choices/users?q=user-110") == ["user-110", "a-user-110"]
    assert "No matches." in text_of(client.get("/choices/users?q=nobody"))


def test_grant_pickers_omit_disabled_users(
    signed_in: SignIn, mia: User, base: KnowledgeBase, crowd: list[User]
) -> None:
    client = signed_in(mia)
    for path in ("/choices/grantees", "/choices/readers"):
        assert _options(client, f"{path}?q=user-00")[:2] == ["user-001", "user-002"]
    assert "Everyone who can sign in" in _options(client, "/choices/grantees?q=every")
    assert "Everyone who can sign in" not in _options(client, "/choices/readers")


def test_limit_pickers_offer_subjects_without_limits(signed_in: SignIn, admin: User, rob: User) -> None:
    key, _ = api_key_create(user=rob, label="robot")
    client = signed_in(admin)
    assert _options(client, "/choices/limits?q=rob") == ["rob", "robot (rob)"]
    for subject in (f"user:{rob.id}", f"key:{key.id}"):
        limit_set(subject=subject, values={}, actor=admin.id)
    limit_set(subject=f"user:{rob.id}", values={"searches_per_minute": 1}, actor=admin.id)  # type: ignore[dict-item]
    assert _options(client, "/choices/limits?q=rob") == ["robot (rob)"]


def test_knowledge_base_pickers_filter_by_role(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    path = "/choices/knowledge-bases"
    assert f'data-value="{base.slug}"' in text_of(signed_in(rob).get(path))
    assert f'data-value="{base.id}"' in text_of(signed_in(rob).get(f"{path}?by=id&q=hand"))
    assert _options(signed_in(rob), f"{path}?role=manager") == []
    assert _options(signed_in(mia), f"{path}?role=manager") == ["Handbook"]


def _make_bases(count: int) -> None:
    numbers = range(count)
    KnowledgeBase.objects.bulk_create(
        KnowledgeBase(name=f"Base {n:02}", slug=f"base-{n:02}") for n in numbers
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/admin", "kb"), ("/admin/gaps", "kb"),
        ("/admin/documents", "base"), ("/admin/evaluation/gold-questions/new", "kb"),
    ],
)  # fmt: skip
def test_many_knowledge_bases_are_chosen_in_a_picker_and_few_in_a_list(
    signed_in: SignIn, admin: User, path: str, name: str
) -> None:
    _make_bases(20)
    client = signed_in(admin)
    html = text_of(client.get(f"{path}?{name}=base-07"))
    assert '<option value="base-07" selected>Base 07</option>' in html
    assert "data-combobox" not in html
    KnowledgeBase.objects.create(name="Base 20", slug="base-20")
    html = text_of(client.get(f"{path}?{name}=base-07"))
    assert '<option value="base-07"' not in html
    assert f'<input type="hidden" name="{name}" value="base-07" data-choice>' in html
    assert 'value="Base 07"' in html


def test_knowledge_bases_keys_and_limits_are_searched_and_paged(
    signed_in: SignIn, admin: User, crowd: list[User]
) -> None:
    _make_bases(60)
    people = [user for user in crowd if user.is_active][:60]
    for user in people:
        api_key_create(user=user, label=f"key of {user.username}")
    Limit.objects.bulk_create(Limit(user=user, values={"questions_per_day": 5}) for user in people)
    client = signed_in(admin)

    def counted(path: str, mark: str) -> int:
        return text_of(client.get(path)).count(mark)

    for path, mark, shown, rest in (
        ("/admin/knowledge-bases", 'class="shelf-item"', 50, 10),
        ("/admin/keys", "cairn_", 50, 10),
        ("/admin/limits", 'name="subject" value="user:', 25, 25),
    ):
        assert counted(path, mark) == shown
        assert counted(f"{path}?page=2", mark) == rest
    assert counted("/admin/knowledge-bases?q=BASE 05", 'class="shelf-item"') == 1
    assert counted("/admin/knowledge-bases?q=nothing", "No matching knowledge bases.") == 1
    assert counted("/admin/keys?q=user-011", "cairn_") == 1
    assert counted("/admin/limits?q=user-011", 'name="subject" value="user:') == 1
    assert counted("/admin/limits?q=nobody", "No matching overrides.") == 1


def test_pages_show_display_names_with_the_user_name(
    signed_in: SignIn, admin: User, mia: User, document: Document
) -> None:
    User.objects.filter(pk=mia.pk).update(display_name="Mia Lang")
    Document.objects.update(owner=mia)
    Job.objects.update(user=mia)
    Receipt.objects.create(object=f"document:{document.pk}", requested_by=mia)
    readers_replace(document=document, readers=[f"user:{mia.pk}"], actor=None)
    Grant.objects.filter(user=mia).update(role=Role.READER)
    client = signed_in(admin)
    shown = {
        f"/library/documents/{document.pk}": "Mia Lang (mia)",
        f"/library/documents/{document.pk}/people?q=mia": "this person is included as Mia Lang (mia).",
        "/admin/erasures": "requested by Mia Lang (mia)",
        "/admin/ingestion/queue": '<td data-label="For">Mia Lang (mia)',
    }
    assert [path for path, text in shown.items() if text not in text_of(client.get(path))] == []
    assert "for Mia Lang (mia)" in text_of(client.get("/admin/ingestion/queue"))

    path = f"/api/v1/knowledge-bases/{document.knowledge_base_id}/grants/effect"
    effect = client.post(path, [], content_type="application/json").json()
    assert [person["label"] for person in effect["losses"]["people"]] == ["Mia Lang (mia)"]


def test_display_names_are_listed_searched_and_offered(signed_in: SignIn, admin: User, rob: User) -> None:
    User.objects.filter(pk=rob.pk).update(display_name="Robert Roy", email="roy@example.org")
    client = signed_in(admin)
    for text in ("robert", "roy@", "rob"):
        html = text_of(client.get(f"/admin/users?q={text}"))
        assert _listed(html) == ["Robert Roy"]
        assert "rob · roy@example.org" in html
    assert 'data-label="Robert Roy (rob)"' in text_of(client.get("/choices/users?q=Roy"))
    assert "roy@example.org" not in text_of(client.get("/choices/users?q=Roy"))
    assert "Robert Roy" not in text_of(client.get("/choices/owners?q=roy%40"))
