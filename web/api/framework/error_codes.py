"""The codes of problem documents, with their status and meaning."""

from typing import Final

ERROR_CODES: Final[dict[str, tuple[int, str]]] = {
    "malformed": (400, "The body isn't valid JSON, or the address or a header is malformed."),
    "not_signed_in": (401, "The key is missing or not valid, or its user is disabled. Send another key."),
    "forbidden": (403, "The key lacks a scope, or the user's role in the knowledge base is too low."),
    "csrf_failed": (403, "A browser session changed something without a valid `X-CSRFToken`."),
    "second_factor_required": (403, "The user has to set up a second factor in the browser first."),
    "read_only": (403, "An admin views Cairn as somebody else, or what was addressed can't be changed."),
    "not_official": (403, "Commands only change official knowledge bases."),
    "not_found": (404, "It doesn't exist, or the key can't see it. Both look the same on purpose."),
    "method_not_allowed": (405, "The address doesn't take this method. `Allow` lists those it takes."),
    "conflict": (409, "It conflicts with the current state, such as a name that is taken."),
    "managed_elsewhere": (409, "The account or group is managed in a directory. Change it there."),
    "worse": (409, "The new index finds less than the active one. `force` activates it anyway."),
    "wrong_offset": (409, "The part doesn't follow the bytes received. Get the upload, and continue there."),
    "assistant_gone": (
        409,
        "The conversation's assistant was deleted, or you may no longer use it. Start a new conversation.",
    ),
    "file_not_ready": (
        409,
        "A file of the conversation is still being processed. Ask again when it is ready, or remove it.",
    ),
    "too_many_files": (409, "The conversation has as many files as it can have. Remove one first."),
    "precondition_failed": (412, "`If-Match` names another version. Read the document again."),
    "too_large": (413, "The file or body exceeds the limit."),
    "unsupported_media_type": (415, "The address doesn't accept a body of this media type."),
    "invalid": (422, "A field is missing, unknown or invalid. `errors` names the first ones."),
    "prompt_too_long": (422, "The question and its evidence exceed the language model's context."),
    "source_refused": (422, "The source refuses the credentials, or what was configured isn't there."),
    "source_item_unavailable": (422, "The source has this item no longer, or doesn't let Cairn read it."),
    "sha256_mismatch": (422, "The bytes received aren't those that were announced. Upload them again."),
    "rate_limited": (429, "Too much at once. Try again after `Retry-After` seconds."),
    "quota_exceeded": (429, "Today's quota is used up. `Retry-After` says when the next day begins."),
    "unavailable": (503, "A part of Cairn is down. Try again after `Retry-After` seconds."),
    "model_busy": (503, "Too many answers wait for the language model. Try again after `Retry-After`."),
    "source_unavailable": (503, "The source can't be reached. Try again after `Retry-After` seconds."),
    "source_item_changed": (503, "The item changed in the source while it was read. Try again."),
    "misconfigured": (500, "A setting of the server is wrong. Tell its operator."),
    "internal_error": (500, "Something unexpected went wrong. The server's log has the details."),
}


def codes_table() -> str:
    """Return all codes as a Markdown table."""
    rows = [f"| {status} | `{code}` | {meaning} |" for code, (status, meaning) in ERROR_CODES.items()]
    return "\n".join(["| status | `code` | meaning |", "|---|---|---|", *rows])
