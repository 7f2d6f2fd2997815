"""A file that says who may read which objects, as in Amazon Q and Amazon Kendra.

It is a list of entries such as {"keyPrefix": "finance/", "aclEntries": [{"Name": "ada@example.org",
"Type": "USER", "Access": "ALLOW"}]}, or an object with such a list in `access`, and the members of
groups in `groups`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceGroup, SourcePerson

MAX_BYTES: Final = 5_000_000
_PERSON: Final = "person:"
_GROUP: Final = "group:"
_ALL: Final = "*"
_MAX_NAME: Final = 300


class InvalidAccessFile(Exception):
    """The file can't be read; the message says why."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(alias="Name", min_length=1, max_length=_MAX_NAME)
    type: Literal["USER", "GROUP"] = Field(alias="Type")
    access: Literal["ALLOW", "DENY"] = Field(alias="Access")

    @property
    def subject(self) -> str:
        """The id of the entry's subject; the name `*` means everyone."""
        if self.name == _ALL:
            return EVERYONE
        return f"{_GROUP if self.type == 'GROUP' else _PERSON}{self.name}"


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prefix: str = Field(alias="keyPrefix")
    entries: list[_Entry] = Field(alias="aclEntries")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    access: list[_Rule]
    groups: dict[str, list[str]] = {}


class AccessFile:
    """Rules by prefix: the longest prefix of a key decides, and a denial goes before a permission."""

    def __init__(self, content: bytes, *, bucket: str) -> None:
        parsed = _parse(content)
        self._groups = parsed.groups
        self._rules: dict[str, list[_Entry]] = {}
        for rule in parsed.access:
            prefix = _strip_bucket(rule.prefix, bucket)
            if prefix is not None:
                self._rules.setdefault(prefix, []).extend(rule.entries)
        self._lengths = sorted({len(prefix) for prefix in self._rules}, reverse=True)
        self._levels = {prefix: _build_level(entries) for prefix, entries in self._rules.items()}

    def level_for(self, key: str) -> AccessLevel:
        """Return the entries for an object; none if no prefix matches, so that nobody may read it."""
        for length in self._lengths:
            level = self._levels.get(key[:length]) if length <= len(key) else None
            if level is not None:
                return level
        return ()

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield all people named in the file, and its groups."""
        entries = [entry for entries in self._rules.values() for entry in entries if entry.name != _ALL]
        members = [name for names in self._groups.values() for name in names]
        people = {entry.name for entry in entries if entry.type == "USER"} | set(members)
        groups = {entry.name for entry in entries if entry.type == "GROUP"} | self._groups.keys()
        for name in sorted(people):
            is_address = "@" in name
            yield SourcePerson(
                f"{_PERSON}{name}",
                name,
                email=name if is_address else "",
                directory_id="" if is_address else name,
            )
        for name in sorted(groups):
            yield SourceGroup(
                f"{_GROUP}{name}", name, tuple(f"{_PERSON}{each}" for each in self._groups.get(name, ()))
            )


def _build_level(entries: list[_Entry]) -> AccessLevel:
    ordered = sorted(entries, key=lambda entry: entry.access == "ALLOW")  # stable: denials first
    return tuple(AccessEntry(entry.subject, entry.access == "ALLOW") for entry in ordered)


def _strip_bucket(prefix: str, bucket: str) -> str | None:
    """Return the prefix without “s3://bucket/”; None if it is for another bucket."""
    if not prefix.startswith("s3://"):
        return prefix
    name, _, rest = prefix.removeprefix("s3://").partition("/")
    return rest if name == bucket else None


def _parse(content: bytes) -> _File:
    if len(content) > MAX_BYTES:
        raise InvalidAccessFile(f"more than {MAX_BYTES} bytes")
    try:
        data = _load(content.decode("utf-8-sig"))
        return TypeAdapter(_File).validate_python({"access": data} if isinstance(data, list) else data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidAccessFile(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InvalidAccessFile(str(error)[:300]) from error


def _load(text: str) -> Any:
    if text.lstrip().startswith(("[", "{")):
        return json.loads(text, object_pairs_hook=_require_unique)
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
        raise InvalidAccessFile("aliases aren’t allowed")
    return yaml.safe_load(text)


def _require_unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """Refuse a duplicate name: which of the two counts would be ambiguous."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidAccessFile("a name is there twice")
    return found
