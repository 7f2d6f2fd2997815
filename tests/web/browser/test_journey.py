"""The main tasks of users, in a real browser with the real models."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from fpdf import FPDF
from playwright.sync_api import FilePayload, Locator, Page, ViewportSize, expect

from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
PHONE = ViewportSize(width=360, height=740)
OTHER = "Trains are booked by the travel desk."
FACT = "Employees may donate at most 42 hours of annual leave to a colleague in each calendar year."
QUESTION = "How many hours of annual leave may employees donate to a colleague in a year?"
ANSWERED = re.compile(r"Supported by|Partly supported|Quoted from")
SLOW = 120_000  # milliseconds: reading a file or answering on a busy machine


def markdown(name: str = "leave.md") -> FilePayload:
    """Longer than a screen before the fact comes."""
    travel = "\n\n".join(f"## Journey {number}\n\n{OTHER}" for number in range(1, 25))
    text = f"# Leave rules\n\n{travel}\n\n## Donating leave\n\n{FACT}\n"
    return FilePayload(name=name, mimeType="text/markdown", buffer=text.encode())


def pdf(name: str = "leave.pdf") -> FilePayload:
    document = FPDF()
    document.set_font("Helvetica", size=12)
    for paragraph in (OTHER, FACT):
        document.add_page()
        document.multi_cell(0, 8, paragraph)
    return FilePayload(name=name, mimeType="application/pdf", buffer=bytes(document.output()))


def status(page: Page, path: str) -> int:
    response = page.goto(path)
    assert response is not None
    return response.status


def create_knowledge_base(page: Page) -> str:
    """Create a knowledge base and return its slug."""
    name = f"Rules {uuid4().hex[:8]}"
    page.goto("/admin/knowledge-bases")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/admin/knowledge-bases/rules-*")
    return page.url.rsplit("/", 1)[1]


def upload(page: Page, slug: str, *files: FilePayload) -> None:
    page.goto(f"/library/{slug}")
    page.locator("#files").set_input_files(files)


def uploaded(page: Page, slug: str, file: FilePayload) -> None:
    upload(page, slug, file)
    expect(page.locator("[data-sum]")).to_have_text("1 of 1 ready", timeout=SLOW)
    expect(page.locator("#documents .tag-ready")).to_have_count(1)


def ask(page: Page, slug: str, question: str = QUESTION) -> None:
    page.goto(f"/?kb={slug}")
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_be_visible(timeout=SLOW)


def choose(root: Page | Locator, label: str, name: str) -> None:
    """Choose in a searchable picker, by keyboard."""
    field = root.get_by_role("combobox", name=label)
    field.fill(name)
    expect(root.get_by_role("listbox", name=label).get_by_role("option", name=name)).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")


def test_user_gets_a_cited_answer_after_sign_in(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    ask(page, slug)
    expect(page.locator(".verdict")).to_contain_text(ANSWERED)
    expect(page.locator(".answer-body")).to_contain_text("42")
    expect(page).to_have_url(re.compile("/conversations/"))

    citation = page.locator(".answer-body button.cite").first
    citation.click()
    panel = page.get_by_role("dialog", name="Leave rules")
    expect(panel.locator("mark").first).to_be_in_viewport()
    expect(panel.locator("mark").first).to_contain_text("42 hours")
    expect(panel.get_by_role("heading", name="Leave rules")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(citation).to_be_focused()

    page.reload()
    expect(page.locator(".verdict")).to_contain_text(ANSWERED)
    expect(page.locator(".answer-body button.cite").first).to_be_visible()


def test_pdf_citation_is_highlighted_on_its_page(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, pdf())
    ask(page, slug)
    page.locator(".answer-body button.cite").first.click()
    panel = page.locator("#panel")
    expect(panel.get_by_role("img", name="Page 2")).to_be_visible(timeout=SLOW)
    expect(panel.locator(".sheet-box").first).to_be_in_viewport()
    expect(panel.locator("#panel-facts")).to_contain_text("Page 2 of 2")
    panel.get_by_role("button", name="Text").click()
    expect(panel.locator("mark").first).to_contain_text("42 hours")
    with page.expect_download() as download:
        panel.get_by_role("link", name="Download original").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")


def test_rewritten_follow_up_is_shown_and_editable(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    ask(page, slug)
    expect(page.locator(".understood")).to_have_count(0)
    field = page.get_by_label("Your question")
    field.fill("And to whom?")
    page.keyboard.press("Enter")
    edit = page.get_by_role("button", name=f"Searching for: {QUESTION} And to whom? Edit and ask again")
    expect(edit).to_be_visible(timeout=SLOW)
    field.fill("half a question")
    edit.focus()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_value(f"{QUESTION} And to whom?")
    page.keyboard.press("Control+z")
    expect(field).to_have_value("half a question")


def test_unanswerable_question_is_refused_with_a_next_step(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    ask(page, slug, "What is the cafeteria's lunch menu on Fridays?")
    expect(page.locator(".verdict")).to_contain_text("Not found in your knowledge bases")
    expect(page.locator("button.cite, .source")).to_have_count(0)
    expect(page.locator(".nearest")).to_contain_text("Try different words")


def test_deleted_document_disappears_from_its_answers(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    ask(page, slug)
    conversation = page.url
    page.goto(f"/library/{slug}")
    page.get_by_role("button", name="Options for Leave rules").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#documents")).to_contain_text("No documents yet")
    page.goto(conversation)
    expect(page.locator(".verdict")).to_contain_text("No longer available")
    expect(page.locator(".answer-body")).not_to_contain_text("42")


def test_conversation_is_renamed_and_deleted(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    ask(page, slug, "Is anything in here?")
    page.get_by_role("button", name="Conversation options").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title", exact=True).fill("An empty shelf")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#conversations").get_by_role("link", name="An empty shelf")).to_be_visible()
    expect(page).to_have_title("An empty shelf · Cairn")
    page.get_by_role("button", name="Conversation options").click()
    page.get_by_role("button", name="Delete conversation").click()
    page.wait_for_url("**/")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.locator("#conversations")).not_to_contain_text("An empty shelf")


def test_group_is_granted_access(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    user, group = f"user-{uuid4().hex[:8]}", f"Team {uuid4().hex[:8]}"
    page.goto("/admin/groups")
    page.get_by_role("region", name="New group").get_by_label("Name").fill(group)
    page.get_by_role("button", name="Create group").click()
    expect(page.get_by_role("heading", name=group)).to_be_visible()

    page.goto("/admin/users")
    new = page.get_by_role("region", name="New user")
    new.get_by_label("User name").fill(user)
    new.get_by_label("Password").fill("short")
    choose(new, "Groups", group)
    new.get_by_role("button", name="Create user").click()
    expect(new.get_by_role("alert")).to_contain_text("too short")
    new.get_by_label("Password").fill(PASSWORD)
    new.get_by_role("button", name="Create user").click()
    expect(page.get_by_role("heading", name=user)).to_be_visible()
    expect(page.get_by_role("button", name=f"Remove {group}")).to_be_visible()

    theirs = sign_in(user, PASSWORD)
    assert status(theirs, f"/library/{slug}") == 404
    page.goto(f"/admin/knowledge-bases/{slug}")
    choose(page, "Give access to", group)
    page.get_by_label(f"Role of {group}").select_option("editor")
    page.get_by_role("button", name="Save access").click()
    foretold = page.get_by_role("dialog", name="Change access?")
    expect(foretold.locator(".access-gain")).to_have_text(f"+1 person gains access: {user}.")
    expect(foretold.locator(".access-loss")).to_have_count(0)
    expect(foretold).to_contain_text("This applies immediately.")
    foretold.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The change applies immediately.")).to_be_visible()
    assert status(theirs, f"/library/{slug}") == 200
    expect(theirs.get_by_role("button", name="Choose files")).to_be_visible()
    why = page.get_by_role("row", name=user)
    expect(why).to_contain_text(f"Member of “{group}” (editor).")


def test_document_is_restricted_after_a_preview_of_excluded_people(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    user = f"user-{uuid4().hex[:8]}"
    page.goto("/admin/users")
    new = page.get_by_role("region", name="New user")
    new.get_by_label("User name").fill(user)
    new.get_by_label("Password").fill(PASSWORD)
    new.get_by_role("button", name="Create user").click()
    expect(page.get_by_role("heading", name=user)).to_be_visible()
    page.goto(f"/admin/knowledge-bases/{slug}")
    choose(page, "Give access to", user)
    page.get_by_role("button", name="Save access").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The change applies immediately.")).to_be_visible()
    uploaded(page, slug, markdown("salaries.md"))

    page.get_by_role("list", name="Files").get_by_role("link").click()
    page.get_by_role("navigation", name="Document").get_by_role("link", name="Access").click()
    expect(page.get_by_role("row", name=user)).to_contain_text("Granted directly (reader).")
    page.get_by_label("Only selected readers").check()
    page.get_by_role("button", name="Save readers").click()
    foretold = page.get_by_role("dialog", name="Change access?")
    expect(foretold.locator(".access-loss")).to_have_text(f"\N{MINUS SIGN}1 person loses access: {user}.")
    foretold.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name=user)).to_have_count(0)
    page.get_by_label("User name").fill(user)
    expect(page.get_by_role("row", name=user)).to_contain_text("isn’t one of them")

    page.goto("/admin/users")
    page.get_by_role("search", name="Users").get_by_label("Name or email address").fill(user)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=user).click()
    page.get_by_role("button", name=f"View as {user}").click()
    expect(page.get_by_text(f"Viewing as {user}")).to_be_visible()
    page.goto(f"/library/{slug}")
    expect(page.get_by_text("salaries.md")).to_have_count(0)
    page.get_by_role("button", name="Stop viewing").click()
    page.goto(f"/library/{slug}")
    expect(page.locator("#documents .tag-ready")).to_have_count(1)


def test_knowledge_base_is_deleted_only_with_its_typed_name(sign_in: SignIn) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    button = page.get_by_role("button", name="Delete knowledge base")
    expect(button).to_be_disabled()
    name = page.get_by_role("heading", level=1).inner_text()
    page.get_by_label(f"Type {name} to confirm").fill(name)
    button.click()
    page.wait_for_url("**/admin/knowledge-bases")
    assert status(page, f"/library/{slug}") == 404


def test_pages_fit_a_phone(sign_in: SignIn) -> None:
    page = sign_in(viewport=PHONE, touch=True)
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown(f"{'a-name-without-any-place-to-break-it-' * 3}.md"))
    ask(page, slug)
    shown, library = page.url, ("/library", f"/library/{slug}")
    page.goto(f"/library/{slug}")
    document = page.locator("a.title").get_attribute("href") or ""
    administration = ("/admin/users", "/admin/groups", "/admin/ingestion")
    documents = (document, f"{document}/passages")
    for path in (shown, "/", *library, *documents, "/account", *administration, "/nowhere"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
    page.goto(shown)
    page.locator(".answer-body button.cite").first.tap()
    panel = page.locator("#panel").bounding_box()
    assert panel == {"x": 0, "y": 0, "width": PHONE["width"], "height": PHONE["height"]}


def test_menu_works_by_keyboard_on_a_phone(sign_in: SignIn) -> None:
    page = sign_in(viewport=PHONE)
    library = page.get_by_role("link", name="Library", exact=True)
    expect(library).to_be_hidden()
    opener = page.get_by_role("button", name="Open menu")
    opener.press("Enter")
    expect(library).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(library).to_be_hidden()
    expect(opener).to_be_focused()


def test_theme_persists(sign_in: SignIn) -> None:
    page = sign_in()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="admin").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_lost_connection_preserves_the_question(sign_in: SignIn) -> None:
    page = sign_in()
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")  # on a machine without internet none comes
    expect(page.get_by_text("You’re offline.")).to_be_visible()
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".failure")).to_contain_text("Can’t reach the server.")
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_text("You’re offline.")).to_be_hidden()
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".verdict")).to_be_visible(timeout=SLOW)


def test_signed_out_user_sees_a_message(sign_in: SignIn) -> None:
    page = sign_in()
    page.context.clear_cookies()
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".failure")).to_contain_text("You’ve been signed out.")
