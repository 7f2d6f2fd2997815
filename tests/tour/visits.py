"""All there is to see: every page route once, and the states that pages come into.

A page route of `tests/web/security/routes.py` is visited by itself, as the admin. Add a line to OTHERS if it
is somebody else's, and to STATES for what has to be opened first: a menu, a dialog, an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import FilePayload, Page, Route, expect

from tests.conftest import PASSWORD
from tests.tour.sample import NOBODY
from tests.web.security.guards import Door
from tests.web.security.routes import ROUTES

ADMIN: Final = "admin"
Prepare = Callable[[Page], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """`prepare` changes the state of the open page.

    `failure`: the failure whose page replaces the response; see `Sample.failures`. `narrow`: only on phones.
    """

    name: str
    path: str
    who: str = ADMIN
    prepare: Prepare | None = None
    status: int = 200
    failure: str = ""
    narrow: bool = False

    def __str__(self) -> str:
        return self.name


OTHERS: Final[Mapping[str, str]] = {
    "/login": NOBODY,
    "/set-password": NOBODY,
    "/account/confirm/code": "una",
    "/account/confirm/passkey": "una",
    "/account/second-factor/app/remove": "una",
    "/account/second-factor/codes": "una",
    "/account/second-factor/passkeys/{pk}/remove": "una",
}
"""Pages that are looked at by somebody else than the admin: nobody has signed in, una has a second factor."""

QUERIES: Final[Mapping[str, str]] = {"/admin/evaluation/runs/{run_id}/compare": "?with={other_run}"}

ELSEWHERE: Final[Mapping[str, str]] = {
    "/login/code": "the state “second step”",
    "/login/passkey": "answers a script",
}
"""Routes that are no page by themselves, and where they are seen."""

LEADING: Final = frozenset({"/admin"})
"""Pages that lead to another at once."""


def page_routes() -> list[str]:
    return [
        route.path
        for route in ROUTES
        if route.method == "GET"
        and (
            route.door is Door.PAGE
            or (route.door is Door.PUBLIC and route.path.startswith(("/login", "/set-password")))
        )
    ]


def _press(name: str, *, role: str = "button") -> Prepare:
    return lambda page: page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]


def _click(selector: str) -> Prepare:
    return lambda page: page.locator(selector).first.click()


def _type(selector: str, text: str) -> Prepare:
    return lambda page: page.locator(selector).press_sequentially(text)


def _after(*steps: Prepare) -> Prepare:
    def prepared(page: Page) -> None:
        for step in steps:
            step(page)

    return prepared


def _shown(selector: str) -> Prepare:
    return lambda page: expect(page.locator(selector).first).to_be_visible(timeout=15_000)


def _cited(at: int) -> Prepare:
    return lambda page: page.locator(".answer-body button.cite").nth(at).click()


def _hover(page: Page) -> None:
    page.locator(".answer-body button.cite").first.scroll_into_view_if_needed()
    page.locator(".answer-body button.cite").first.hover()
    expect(page.locator(".hovercard")).to_be_visible()


def _signing_in(username: str, password: str) -> Prepare:
    def signing_in(page: Page) -> None:
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()

    return signing_in


def _away(page: Page) -> None:
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("#offline")).to_be_visible()


def _asked_away(page: Page) -> None:
    _away(page)
    page.get_by_label("Your question").fill("How many days may be carried over?")
    page.keyboard.press("Enter")
    expect(page.locator(".failure")).to_be_visible()


def _attach_in_appearance(page: Page) -> None:
    """Show files as ready, being read, and rejected.

    Other states need the conversation, so nothing is sent to the server.
    """
    error = {"code": "password_protected", "message": "This file is password-protected. Remove the password."}
    states = {
        "contract.pdf": "ready",
        "scan of all pages of the minutes.pdf": "processing",
        "locked.pdf": "failed",
    }
    items = [
        {"id": str(number), "name": name, "size": 1 << 20, "status": state, "job": None,
         "error": error if state == "failed" else None}
        for number, (name, state) in enumerate(states.items())
    ]  # fmt: skip

    def answer(route: Route) -> None:
        sent = route.request.post_data_buffer or b""
        one = next((item for item in items if str(item["name"]).encode() in sent), None)
        route.fulfill(json=one or {"items": items})

    page.route("**/api/v1/conversations/*/files", answer)
    payloads = [FilePayload(name=name, mimeType="application/pdf", buffer=b"%PDF") for name in states]
    page.locator("#attach-files").set_input_files(payloads)
    for state in states.values():
        expect(page.locator(f'.attached-file[data-state="{state}"]')).to_be_visible()


def _delete_in_appearance(page: Page) -> None:
    """Show the deletion only. Other states need the conversation, so nothing is sent to the server."""
    page.route(
        "**/api/v1/conversations/*?restorable=true", lambda route: route.fulfill(json={"deleted": True})
    )
    page.get_by_role("button", name="Conversation options").first.click()
    page.get_by_role("button", name="Delete conversation").first.click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def _search_conversations(page: Page) -> None:
    opener = page.get_by_role("button", name="Open menu")
    if opener.is_visible():
        opener.click()
    page.get_by_label("Search conversations", exact=True).fill("leave")
    expect(page.locator(".rail-snippet mark").first).to_be_visible()


FAILURES: Final = ("400", "403_csrf", "429", "500", "503")
CONVERSATION: Final = "/conversations/{conversation_id}"

STATES: Final[tuple[Visit, ...]] = (
    Visit("sign-in refused", "/login", NOBODY, _after(_signing_in("una", "wrong"), _shown("#login-error"))),
    Visit("second step", "/login", NOBODY, _after(_signing_in("una", PASSWORD), _shown("#id_code"))),
    Visit("user menu", "/library", prepare=_after(_press("admin"), _shown("#user-menu"))),
    Visit("picker of knowledge bases", "/", prepare=_after(_click(".picker-button"), _shown("#picker"))),
    Visit("knowledge bases to mention", "/", prepare=_after(_type("#question", "@"), _shown("#mentions"))),
    Visit(
        "conversation menu", CONVERSATION,
        prepare=_after(_press("Conversation options"), _shown("#conversation-menu")),
    ),
    Visit(
        "conversation renamed", CONVERSATION,
        prepare=_after(_press("Conversation options"), _press("Rename"), _shown("#rename")),
    ),
    Visit(
        "conversation moved to a folder", CONVERSATION,
        prepare=_after(_press("Conversation options"), _press("Move to folder"), _shown("#move[open]")),
    ),
    Visit("temporary chat", "/", prepare=_after(_click("#temporary"), _shown("#temporary-note[open]"))),
    Visit("attached files", CONVERSATION, prepare=_attach_in_appearance),
    Visit("conversation deleted", CONVERSATION, prepare=_delete_in_appearance),
    Visit("conversations searched", "/library", prepare=_search_conversations),
    Visit(
        "answer exported", CONVERSATION,
        prepare=_after(_press("Export answer"), _shown(".answer-actions .menu:not([hidden])")),
    ),
    Visit("answer shared", CONVERSATION, prepare=_after(_press("Share answer"), _shown("#share[open]"))),
    Visit("citation in text", CONVERSATION, prepare=_after(_cited(0), _shown("#panel mark"))),
    Visit("citation on its page", CONVERSATION, prepare=_after(_cited(2), _shown("#panel .sheet-box"))),
    Visit("card of a citation", CONVERSATION, prepare=_hover),
    Visit("offline", "/", prepare=_away),
    Visit("server away", "/", prepare=_asked_away),
    Visit(
        "menu of a phone", "/library", narrow=True,
        prepare=_after(_press("Open menu"), _shown("#rail[data-open]")),
    ),
    Visit("chat of a newcomer", "/", "newcomer"),
    Visit("chat with an assistant", "/?assistant={assistant_id}", "rob"),
    Visit("chat with an assistant for other readers", "/?assistant={assistant_id}", "newcomer"),
    Visit("assistants without a hit", "/admin/assistants?q=nothing+of+that+name"),
    Visit("library of a newcomer", "/library", "newcomer"),
    Visit("empty knowledge base", "/library/{empty}"),
    Visit("document as a PDF", "/library/documents/{travel_pdf}"),
    Visit("document that could not be read", "/library/documents/{empty_txt}"),
    Visit("document of a long title", "/library/documents/{long_md}"),
    Visit(
        "source: a step with an error", "/admin/sources/new/webdav",
        prepare=_after(_press("Next"), _shown("[aria-invalid]")),
    ),
    Visit(
        "source: deletion", "/admin/sources/{source_id}",
        prepare=_after(_press("Delete source…"), _shown("#delete-source[open]")),
    ),
    Visit("source: documents without a hit", "/admin/sources/{source_id}?q=nothing+of+that+name"),
    Visit("people of a source with accounts", "/admin/sources/{source_id}/people?show=linked"),
    Visit("audit without a hit", "/admin/audit?actor=nobody-of-that-name"),
    Visit("gold question of an answer", "/admin/evaluation/gold-questions/new?message={message_id}"),
    Visit("nothing here", "/nowhere", status=404),
    Visit("not open", "/admin/users", "rob", status=403),
    *(Visit(f"failure {name}", "/library", failure=name) for name in FAILURES),
)  # fmt: skip


def _by_route() -> list[Visit]:
    return [
        Visit(path, path + QUERIES.get(path, ""), OTHERS.get(path, ADMIN))
        for path in page_routes()
        if path not in ELSEWHERE
    ]


VISITS: Final[tuple[Visit, ...]] = (*_by_route(), *STATES)
