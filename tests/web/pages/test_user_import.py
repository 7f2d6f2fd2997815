"""Import of users from CSV files: a preview that stores nothing, then the import, and hostile files."""

import html
import re
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cairn.accounts.models import Group, User
from cairn.accounts.services import group_create, user_create
from cairn.audit.models import Event
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
PATH = "/admin/users/import"
ROW = re.compile(r'<td class="num"[^>]*>(\d+)</td>.*?<td data-label="Effect">(.*?)</td>', re.DOTALL)
GOOD = (
    "username;display_name;email;groups\r\nmia;Mia Meyer;mia@example.org;Staff,Board\r\nnew.one;;;Staff\r\n"
)


def _upload(client: Client, content: bytes | str) -> tuple[int, str]:
    data = content.encode() if isinstance(content, str) else content
    response = client.post(PATH, {"file": SimpleUploadedFile("users.csv", data)})
    return response.status_code, text_of(
        response
    ) if response.status_code == 200 else response.content.decode()


def _effects(page: str) -> dict[int, str]:
    return {
        int(number): html.unescape(re.sub("<.*?>", "", effect)).strip()
        for number, effect in ROW.findall(page)
    }


def _import(client: Client, page: str) -> str:
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert found
    form = {"content": html.unescape(found[1]), "confirm": "yes"}
    return text_of(client.post(PATH, form))


@pytest.fixture
def client_of_admin(signed_in: SignIn, admin: User) -> Client:
    group_create(name="Staff")
    group_create(name="Board")
    return signed_in(admin)


@pytest.mark.parametrize("content", [GOOD, "\ufeff" + GOOD, GOOD.replace("Staff,Board", '"Staff;Board"')])
def test_user_import_preview_stores_nothing_and_matches_the_import(
    client_of_admin: Client, content: str
) -> None:
    mia = user_create(username="Mia")
    _, page = _upload(client_of_admin, content)
    assert _effects(page) == {2: "changed", 3: "new"}
    assert not User.objects.filter(username="new.one").exists()
    assert not Group.objects.filter(members=mia).exists()
    done = _import(client_of_admin, page)
    assert "New: 1. Changed: 1. Unchanged: 0. Refused: 0." in done
    mia.refresh_from_db()
    assert (mia.label, mia.email) == ("Mia Meyer (Mia)", "mia@example.org")
    assert set(mia.member_of.values_list("name", flat=True)) == {"Staff", "Board"}
    new = User.objects.get(username="new.one")
    assert not new.has_usable_password()
    assert (new.is_admin, new.is_active, new.name_skeleton != "") == (False, True, True)
    assert list(new.member_of.values_list("name", flat=True)) == ["Staff"]
    assert Event.objects.filter(action="user.created", subject=f"user:{new.pk}").count() == 1
    assert "New: 0. Changed: 0. Unchanged: 2. Refused: 0." in _import(client_of_admin, page)


def test_user_import_accepts_commas_and_ignores_empty_cells(client_of_admin: Client) -> None:
    rob = user_create(username="rob2", display_name="Rob", email="rob@example.org")
    rob.member_of.add(Group.objects.get(name="Board"))
    _, page = _upload(client_of_admin, 'User name,E-mail,Groups\nrob2,,"Staff,Board"\n')
    _import(client_of_admin, page)
    rob.refresh_from_db()
    assert (rob.display_name, rob.email) == ("Rob", "rob@example.org")
    assert rob.member_of.count() == 2


def test_user_import_explains_bad_lines_and_imports_others(client_of_admin: Client) -> None:
    user_create(username="taken")
    Group.objects.create(name="Elsewhere", source="scim")
    lines = {
        2: ("good;;;", "new"),
        3: ("GOOD;;;", "Line 2 has the same or a similar user name."),
        4: ("t\u0430ken;;;", "can’t"),
        5: ("=cmd;;;", "“=cmd” looks like a spreadsheet formula."),
        6: ('x1;"=HYPERLINK(""http://evil"")";;', "looks like a spreadsheet formula."),
        7: ("x2;;;Nowhere", "There is no group “Nowhere” that is managed here."),
        8: ("x3;;;Elsewhere", "There is no group “Elsewhere” that is managed here."),
        9: ("x4;;no address;", "valid email address"),
        10: (";Nameless;;", "The user name is missing."),
        11: ("a b;;;", "valid username"),
        12: ("x5;;;;extra", "This line has more cells than the first one."),
        13: (f"x6;{'x' * 151};;", "up to 150 characters"),
        14: ("x7", "new"),
        15: ("<b>x8</b>;;;", "valid username"),
    }
    content = "username;display_name;email;groups\n" + "\n".join(line for line, _ in lines.values())
    _, page = _upload(client_of_admin, content)
    effects = _effects(page)
    for number, (_, expected) in lines.items():
        assert expected in effects[number] or number == 4, (number, effects[number])
    assert effects[4] not in {"new", "changed"}
    assert "<b>x8</b>" not in page
    before = User.objects.count()
    _import(client_of_admin, page)
    assert User.objects.count() == before + 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "The first line must name the columns"),
        (b"name;mail\nx;y\n", "The column “name” is unknown"),
        (b"username;username\nx;y\n", "The column “username” is unknown or there twice"),
        ("username\nmia\nJ\u00f6rg\n".encode("latin-1"), "Line 3 isn’t text in UTF-8"),
        ("username\nmia\n".encode("utf-16"), "Line 1 isn’t text in UTF-8"),
        (b"username\nmi\0a\n", "Line 2 isn’t text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "Line 1 isn’t text in UTF-8"),
        (b'username;email\nmia;"never closed\n', "Line 2 can’t be read"),
        (b"username\n" + b"x" * 200_000, "can’t be read: field larger"),
        (b"username\n" + b"x\n" * 10_001, "The file has more than 10,000 users"),
        (b"username\n" + b"x" * (3 << 20), "The file is larger than 3 MB"),
    ],
)
def test_unreadable_user_import_file_shows_an_error(
    client_of_admin: Client, content: bytes, problem: str
) -> None:
    status, page = _upload(client_of_admin, content)
    assert status == 422
    assert problem in html.unescape(page)


@pytest.mark.slow
def test_ten_thousand_users_are_imported(client_of_admin: Client) -> None:
    content = "username;display_name;email;groups\n" + "".join(
        f"u{n:05};Person {n};u{n}@example.org;Staff\n" for n in range(10_000)
    )
    _, page = _upload(client_of_admin, content)
    assert "New: 10000." in page.replace(",", "")
    assert "9800 more lines aren’t shown" in page.replace(",", "")
    done = _import(client_of_admin, page)
    assert "New: 10000." in done.replace(",", "")
    assert Group.objects.get(name="Staff").members.count() == 10_000
