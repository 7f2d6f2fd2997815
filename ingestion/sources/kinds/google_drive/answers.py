"""Answers of Google Drive and of the directory of a Google Workspace."""

from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

FOLDER: Final = "application/vnd.google-apps.folder"
SHORTCUT: Final = "application/vnd.google-apps.shortcut"
_GOOGLE: Final = "application/vnd.google-apps."
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
EXPORTS: Final = {
    f"{_GOOGLE}document": (f"{_OFFICE}wordprocessingml.document", ".docx"),
    f"{_GOOGLE}spreadsheet": (f"{_OFFICE}spreadsheetml.sheet", ".xlsx"),
    f"{_GOOGLE}presentation": (f"{_OFFICE}presentationml.presentation", ".pptx"),
}
"""Type and ending that documents of Google are exported with."""
FILE_FIELDS: Final = "id,name,mimeType,md5Checksum,modifiedTime,size,parents,trashed,webViewLink,driveId"


class Entry(BaseModel):
    """Object of an answer."""

    model_config = ConfigDict(populate_by_name=True)


class Listing(Entry):
    """A page of a list."""

    next_token: str = Field(default="", alias="nextPageToken")


M = TypeVar("M", bound=Listing)


class File(Entry):
    """A file, a document of Google, a folder or a shortcut."""

    id: str
    name: str = ""
    type: str = Field(default="", alias="mimeType")
    checksum: str = Field(default="", alias="md5Checksum")
    modified: datetime | None = Field(default=None, alias="modifiedTime")
    size: int | None = None
    trashed: bool = False
    url: str = Field(default="", alias="webViewLink")
    drive: str = Field(default="", alias="driveId")

    @property
    def is_content(self) -> bool:
        return not self.trashed and (self.type in EXPORTS or not self.type.startswith(_GOOGLE))


class Files(Listing):
    """A page of files. An incomplete search left out drives that Google couldn't reach in time."""

    files: list[File]
    is_incomplete: bool = Field(default=False, alias="incompleteSearch")


class Drive(Entry):
    """A shared drive."""

    id: str
    name: str = ""


class Drives(Listing):
    """A page of shared drives."""

    drives: list[Drive]


class StartToken(Entry):
    """Place in the list of changes where later ones follow."""

    token: str = Field(alias="startPageToken")


class Change(Entry):
    """A change of a file or of a shared drive."""

    kind: str = Field(default="file", alias="changeType")
    file_id: str = Field(default="", alias="fileId")
    removed: bool = False
    file: File | None = None


class Changes(Listing):
    """A page of changes. The last one has `start_token`, for the next time."""

    changes: list[Change]
    start_token: str = Field(default="", alias="newStartPageToken")


class Permission(Entry):
    """A permission of a file, its own or an inherited one."""

    type: str
    role: str
    email: str = Field(default="", alias="emailAddress")
    domain: str = ""
    is_discoverable: bool = Field(default=False, alias="allowFileDiscovery")
    expires: datetime | None = Field(default=None, alias="expirationTime")
    deleted: bool = False
    view: str = ""


class Permissions(Listing):
    """A page of the permissions of a file."""

    permissions: list[Permission]


class User(Entry):
    """A person in the directory."""

    id: str
    email: str = Field(alias="primaryEmail")
    aliases: list[str] = []
    name: dict[str, Any] = {}
    suspended: bool = False
    archived: bool = False


class Users(Listing):
    """A page of people."""

    users: list[User] = []


class Group(Entry):
    """A group in the directory."""

    id: str
    email: str
    name: str = ""
    aliases: list[str] = []


class Groups(Listing):
    """A page of groups."""

    groups: list[Group] = []


class Member(Entry):
    """A member of a group: a person, another group, or everybody in the organisation."""

    id: str = ""
    type: str = ""
    status: str = "ACTIVE"


class Members(Listing):
    """A page of members."""

    members: list[Member] = []
