"""Groups of SharePoint sites, whose members are only available from SharePoint's own API, not from Graph."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from cairn.access.source_access import SourceGroup
from cairn.messages import CodedMessage
from ingestion.sources.json_api import JsonApi
from ingestion.sources.kinds.sharepoint.access import EVERYONE, is_everyone, site_group_id
from ingestion.sources.kinds.sharepoint.graph import Site, SiteGroups, SiteUsers
from ingestion.sources.protocol import SourceRefused

_PERSON: Final = re.compile(r"i:0#\.f\|membership\|(.+)", re.IGNORECASE)
_GROUP: Final = re.compile(
    r"c:0(?:o\.c\|federateddirectoryclaimprovider|t\.c\|tenant)\|([0-9a-f-]{36})", re.IGNORECASE
)


def list_site_groups(
    open_site: Callable[[Site], JsonApi], sites: Collection[Site], people: Mapping[str, str]
) -> Iterator[SourceGroup]:
    """Yield the groups of sites. `people`: ids of people by their sign-in names in lower case."""
    for site in sites:
        api = open_site(site)
        path = f"{_path_of(site, api)}_api/web/sitegroups"
        groups = api.read(path, SiteGroups)
        _require_all(groups.next_url, site)
        for group in groups.value:
            users = api.read(f"{path}/getbyid({group.id})/users", SiteUsers)
            _require_all(users.next_url, site)
            members = (_find_member(user.login, people) for user in users.value)
            yield SourceGroup(site_group_id(site.id, group.id), group.title, tuple(filter(None, members)))


def _path_of(site: Site, api: JsonApi) -> str:
    path = site.url.removeprefix(api.server.url.rstrip("/")).strip("/")
    return f"{path}/" if path else ""


def _require_all(next_url: str, site: Site) -> None:
    """Raise SourceRefused if a list has more pages: members on them would seem to have left."""
    if next_url:
        raise SourceRefused(CodedMessage("source_answer_endless", server=site.url))


def _find_member(login: str, people: Mapping[str, str]) -> str:
    """Return the id of a member, "" for members that aren't people in the directory, such as apps."""
    if found := _PERSON.fullmatch(login):
        return people.get(found[1].lower(), "")
    if found := _GROUP.fullmatch(login):
        return f"group:{found[1].lower()}"
    return EVERYONE if is_everyone(login) else ""
