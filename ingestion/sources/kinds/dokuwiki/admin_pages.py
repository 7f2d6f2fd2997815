"""Access rules, users and settings, read from the administration pages of DokuWiki.

Its API gives the rules with wildcards already replaced by the account that asks, and no users.
"""

from collections.abc import Iterator
from typing import Any, Final

from lxml import html
from lxml.etree import ParserError

from cairn.messages import CodedMessage
from ingestion.sources.kinds.dokuwiki.rules import ALL, Rule, WikiSettings, WikiUser
from ingestion.sources.protocol import SourceRefused, SourceUnavailable
from ingestion.sources.web_server import WebServer

MAX_USERS: Final = 200_000
_READ: Final = 1
_PATH: Final = "doku.php"

Node = Any  # lxml's stubs make elements generic in a way that fits none of its functions


def read_settings(server: WebServer) -> WikiSettings:
    page = _read_page(server, "config")
    superusers = page.xpath('string(//input[@name="config[superuser]"]/@value)')
    authentication = _find_choice(page, "authtype")
    if not superusers or not authentication:
        raise _superuser_required()
    return WikiSettings(
        superusers=tuple(name.strip() for name in superusers.split(",")),
        authentication=authentication,
        separator=_find_choice(page, "sepchar") or "_",
        drops_accents=_find_choice(page, "deaccent") != "0",
    )


def _find_choice(page: Node, setting: str) -> str:
    return str(page.xpath(f'string(//select[@name="config[{setting}]"]/option[@selected]/@value)'))


def read_rules(server: WebServer, settings: WikiSettings) -> list[Rule]:
    """Return all access rules, with wildcards as they are."""
    page = _read_page(server, "acl")
    forms = page.xpath('//form[.//input[@name="page"][@value="acl"]][.//button[@name="cmd[update]"]]')
    if len(forms) != 1:
        raise _superuser_required()
    folds = settings.authentication in {"authad", "authldap"}
    return [_read_rule(row, folds=folds) for row in forms[0].xpath('.//tr[td//input[@type="radio"]]')]


def _read_rule(row: Node, *, folds: bool) -> Rule:
    scope = row.xpath('string(td[1]/span[@class="aclns" or @class="aclpage"])')
    subject = row.xpath('string(td[2]/span[@class="aclgroup" or @class="acluser"])')
    permission = row.xpath('string(td[3]//input[@type="radio"][@checked]/@value)')
    if not scope or not subject or not permission.isdecimal():
        name = f"{scope} {subject}".strip()
        raise SourceRefused(CodedMessage("dokuwiki_rule_invalid", name=name))
    wildcards = {ALL, "%USER%", "%GROUP%"}
    return Rule(
        scope, subject.lower() if folds and subject not in wildcards else subject, int(permission) >= _READ
    )


def read_users(server: WebServer) -> Iterator[WikiUser]:
    """Yield all users. Each page begins with the last user of the page before, so that none is missed if
    users are added or deleted meanwhile."""
    users = _read_users_from(server, 0)
    if not users:
        raise SourceRefused(CodedMessage("dokuwiki_users_unlisted"))
    yield from users
    count = len(users)
    while count < MAX_USERS:
        last, users = users[-1], _read_users_from(server, count - 1)
        if not users or users[0].login != last.login:
            raise SourceUnavailable(CodedMessage("source_people_changed"))
        if len(users) == 1:
            return
        yield from users[1:]
        count += len(users) - 1
    raise SourceRefused(CodedMessage("source_answer_endless", server=server.name))


def _read_users_from(server: WebServer, start: int) -> list[WikiUser]:
    page = _read_page(server, "usermanager", start=str(start))
    return [_read_user(row) for row in page.xpath('//div[@id="user__manager"]//tr[@class="user_info"]')]


def _read_user(row: Node) -> WikiUser:
    login, name, email, groups = (cell.text_content() for cell in row.xpath("td")[1:5])
    return WikiUser(login, name, email, tuple(filter(None, groups.split(", "))))


def _read_page(server: WebServer, name: str, **params: str) -> Node:
    answer = server.get(_PATH, {"do": "admin", "page": name, **params})
    if answer.status == 403:
        raise _superuser_required()
    if answer.status != 200:
        raise server.invalid(f"HTTP {answer.status}")
    try:
        return html.document_fromstring(answer.content, parser=html.HTMLParser(encoding="utf-8"))
    except (ParserError, ValueError) as error:
        raise server.invalid(str(error)) from error


def _superuser_required() -> SourceRefused:
    return SourceRefused(CodedMessage("dokuwiki_superuser_required"))
