"""Damage done to files, the same each time it is asked for."""

import io
import random
import zipfile
from collections.abc import Callable

Mutate = Callable[[bytes, random.Random], bytes]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 8, 64))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:start] + data[end:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 3, 50)) + data[end:]


def _zero(data: bytes, chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:start] + bytes(end - start) + data[end:]


def _swap(data: bytes, chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    place = chance.randrange(len(data))
    rest = data[:start] + data[end:]
    return rest[:place] + data[start:end] + rest[place:]


def _bloat(data: bytes, chance: random.Random) -> bytes:
    """A number becomes a very large one: lengths, counts and dimensions are believed too often."""
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    if not digits:
        return _flip(data, chance)
    place = chance.choice(digits)
    return data[:place] + b"9" * chance.choice((4, 9, 18)) + data[place + 1 :]


def _binary_bloat(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return (
        data[:place]
        + chance.choice((b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"))
        + data[place + 4 :]
    )


def _trail(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _range(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, min(len(data), start + chance.choice((1, 16, 256, 4096)))


MUTATIONS: tuple[Mutate, ...] = (_flip, _cut, _repeat, _zero, _swap, _bloat, _binary_bloat, _trail)
_MEMBER_SHARE = 0.8
_MARKUP = (".xml", ".rels", ".opf", ".ncx", ".xhtml", ".html")


def mutated(data: bytes, seed: str) -> bytes:
    """`data`, damaged in one to three ways; of most archives a member, which is then packed again."""
    chance = random.Random(seed)
    if data.startswith(b"PK") and chance.random() < _MEMBER_SHARE:
        return _with_damaged_member(data, chance)
    return _damaged(data, chance)


def _with_damaged_member(data: bytes, chance: random.Random) -> bytes:
    """Damage a member but fix the checksums, so that the damage reaches the parser."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    names = [name for name, content in members.items() if content]
    name = chance.choice([name for name in names if name.endswith(_MARKUP)] or names)
    members[name] = _damaged(members[name], chance)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def _damaged(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 3)):
        if data:
            data = chance.choice(MUTATIONS)(data, chance)
    return data
