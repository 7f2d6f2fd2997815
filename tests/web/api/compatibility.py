"""Find what a later OpenAPI description takes away from programs that were written for an earlier one."""

import json
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
METHODS = ("get", "put", "post", "patch", "delete")


def find_removals(old: Json, new: Json) -> Iterator[str]:
    """Describe each operation, parameter, field, value or answer that is gone, and each new requirement."""
    for path, operations in old["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            if method not in new["paths"].get(path, {}):
                yield f"{method} {path} is gone"
                continue
            yield from _operation(f"{method} {path}", operations[method], new["paths"][path][method])
    schemas, sent = new["components"]["schemas"], _sent_schemas(old)
    for name, schema in old["components"]["schemas"].items():
        if name not in schemas:
            yield f"schema {name} is gone"
        else:
            yield from _schema(name, schema, schemas[name], sent=name in sent)


def _sent_schemas(description: Json) -> set[str]:
    """Names of the schemas that occur in the body of a request, directly or within others."""
    schemas = description["components"]["schemas"]
    operations = [each for path in description["paths"].values() for each in path.values()]
    found: set[str] = set()
    waiting = _references([each.get("requestBody") for each in operations])
    while waiting:
        found |= waiting
        waiting = _references([schemas[name] for name in waiting]) - found
    return found


def _references(part: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


def _operation(where: str, old: Json, new: Json) -> Iterator[str]:
    before, after = _parameters(old), _parameters(new)
    for key, parameter in before.items():
        if key not in after:
            yield f"{where}: parameter {key} is gone"
        else:
            yield from _schema(f"{where} {key}", parameter["schema"], after[key]["schema"], sent=True)
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"{where}: parameter {key} is required now"
    for status, answer in old["responses"].items():
        if str(status) not in {str(each) for each in new["responses"]}:
            yield f"{where}: answer {status} is gone"
        else:
            found = new["responses"].get(status) or new["responses"][str(status)]
            yield from _content(f"{where} {status}", answer, found, sent=False)
    if "requestBody" in old and "requestBody" not in new:
        yield f"{where}: the body is gone"
    elif "requestBody" in new:
        if new["requestBody"].get("required") and not old.get("requestBody", {}).get("required"):
            yield f"{where}: the body is required now"
        yield from _content(where, old.get("requestBody", {}), new["requestBody"], sent=True)


def _parameters(operation: Json) -> dict[tuple[str, str], Json]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", [])}


def _content(where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
    for media_type, described in old.get("content", {}).items():
        if media_type not in new.get("content", {}):
            yield f"{where}: {media_type} is gone"
        else:
            after = new["content"][media_type]
            yield from _schema(where, described.get("schema", {}), after.get("schema", {}), sent=sent)


def _schema(where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
    """`sent`: a program sends it, so that a new required field breaks the program."""
    if sent and _kind(old) in [_kind(each) for each in new.get("anyOf", [])]:
        return  # more may be sent than before
    if old.get("$ref") != new.get("$ref") or old.get("type") != new.get("type"):
        yield f"{where}: {old.get('$ref') or old.get('type')} became {new.get('$ref') or new.get('type')}"
    for name, field in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{where}: field {name} is gone"
        else:
            yield from _schema(f"{where}.{name}", field, new["properties"][name], sent=sent)
    if (
        gone := set(old.get("enum", [])) - set(new.get("enum", []))
        if "enum" in new or "enum" in old
        else set()
    ):
        yield f"{where}: values {sorted(map(str, gone))} are gone"
    required, before = set(new.get("required", [])), set(old.get("required", []))
    if sent and required - before:
        yield f"{where}: {sorted(required - before)} are required now"
    if not sent and before - required:
        yield f"{where}: {sorted(before - required)} may be missing now"
    if "items" in old:
        yield from _schema(f"{where}[]", old["items"], new.get("items", {}), sent=sent)
    yield from _choices(where, old, new)


def _choices(where: str, old: Json, new: Json) -> Iterator[str]:
    for key in ("anyOf", "oneOf", "allOf"):
        kinds = [_kind(each) for each in new.get(key, [])]
        if gone := [_kind(each) for each in old.get(key, []) if _kind(each) not in kinds]:
            yield f"{where}: {gone} are gone"


def _kind(schema: Json) -> str:
    return str(schema.get("$ref") or schema.get("const") or schema.get("type") or schema.get("format"))
