"""Answers of Microsoft Graph and of SharePoint."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

PAGE_LENGTH: Final = 200


class Entry(BaseModel):
    """Object of an answer."""

    model_config = ConfigDict(coerce_numbers_to_str=True, populate_by_name=True)


class Listing(Entry):
    """A page of a list. The last page of changes has `changes_url`, from which the next changes follow."""

    next_url: str = Field(default="", alias="@odata.nextLink")
    changes_url: str = Field(default="", alias="@odata.deltaLink")


class Site(Entry):
    """A site of SharePoint."""

    id: str
    name: str = Field(default="", alias="displayName")
    url: str = Field(default="", alias="webUrl")


class Sites(Listing):
    """A page of the list of sites."""

    value: list[Site]


class Drive(Entry):
    """A library of a site, or the OneDrive of a person. `site` is empty for that."""

    id: str
    name: str = ""
    url: str = Field(default="", alias="webUrl")
    site: str = ""

    @property
    def container(self) -> str:
        return self.url.partition("://")[2].strip("/") or self.id


class Drives(Listing):
    """A page of the list of drives."""

    value: list[Drive]


class Parent(Entry):
    """Place of an item."""

    path: str = ""


class DriveItem(Entry):
    """A file or folder, or the note that one was deleted."""

    id: str
    name: str = ""
    url: str = Field(default="", alias="webUrl")
    size: int | None = None
    tag: str = Field(default="", alias="eTag")
    content_tag: str = Field(default="", alias="cTag")
    modified: datetime | None = Field(default=None, alias="lastModifiedDateTime")
    parent: Parent = Field(default=Parent(), alias="parentReference")
    file: dict[str, Any] | None = None
    folder: dict[str, Any] | None = None
    deleted: dict[str, Any] | None = None
    malware: dict[str, Any] | None = None


class DriveItems(Listing):
    """A page of the items of a drive, or of changes."""

    value: list[DriveItem]


class Identity(Entry):
    """A person or group that has a permission."""

    id: str = ""
    name: str = Field(default="", alias="displayName")
    login: str = Field(default="", alias="loginName")


class IdentitySet(Entry):
    """An identity by its kind. Several are of the same person or group."""

    user: Identity | None = None
    group: Identity | None = None
    application: Identity | None = None
    device: Identity | None = None
    site_user: Identity | None = Field(default=None, alias="siteUser")
    site_group: Identity | None = Field(default=None, alias="siteGroup")


class Link(Entry):
    """A sharing link."""

    scope: str = ""


class Permission(Entry):
    """A permission of an item, its own or an inherited one."""

    roles: list[str] = []
    granted: IdentitySet | None = Field(default=None, alias="grantedToV2")
    granted_to_all: list[IdentitySet] = Field(default=[], alias="grantedToIdentitiesV2")
    link: Link | None = None
    expires: datetime | None = Field(default=None, alias="expirationDateTime")
    invitation: dict[str, Any] | None = None


class Permissions(Listing):
    """A page of the permissions of an item."""

    value: list[Permission]


class User(Entry):
    """A person in Microsoft Entra."""

    id: str
    name: str | None = Field(default=None, alias="displayName")
    mail: str | None = None
    sign_in: str = Field(default="", alias="userPrincipalName")
    enabled: bool = Field(default=True, alias="accountEnabled")
    kind: str | None = Field(default=None, alias="userType")


class Users(Listing):
    """A page of the list of people."""

    value: list[User]


class Group(Entry):
    """A group in Microsoft Entra, or another member of one."""

    type: str = Field(default="", alias="@odata.type")
    id: str
    name: str | None = Field(default=None, alias="displayName")


class Groups(Listing):
    """A page of a list of groups or of members."""

    value: list[Group]


class SiteUser(Entry):
    """A member of a SharePoint group, by the name that it has for signing in."""

    login: str = Field(alias="LoginName")


class SiteGroup(Entry):
    """A SharePoint group."""

    id: str = Field(alias="Id")
    title: str = Field(default="", alias="Title")


class SiteGroups(Entry):
    """Groups of a site."""

    value: list[SiteGroup]
    next_url: str = Field(default="", alias="odata.nextLink")


class SiteUsers(Entry):
    """Members of a SharePoint group."""

    value: list[SiteUser]
    next_url: str = Field(default="", alias="odata.nextLink")
