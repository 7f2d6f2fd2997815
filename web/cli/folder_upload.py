"""Upload of files into a knowledge base: only changes are sent, grouped in one import."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Final, Literal

from django.utils.text import slugify

from cairn.errors import CairnError, DocumentRejected, InvalidInput, TransientError
from web.cli.api_client import Api, ApiProblem, Json
from web.cli.local_files import LocalFile, LocalFiles

_MAX_CONCURRENT_REQUESTS: Final = 4
_PARCEL_FILES: Final = 20
_PARCEL_BYTES: Final = 1 << 19  # many proxies accept at most a megabyte
_LOOK_SECONDS: Final = 2.0
_UNWATCHED_SECONDS: Final = 10.0
_SOON_SECONDS: Final = 0.1
_ABOUT_THE_FILE: Final = {400, 409, 412, 413, 415, 422}
_SOURCES: Final = 1000
_MANY_ROOTS: Final = 20
_BLOCK: Final = 1 << 20
_EMPTY: Final = "Nothing is left there"
_OTHER: Final = "None of these is there, and there may be two folders of this name"

Tick = Callable[[str, int, int], None]
"""Called with the current step, its progress, and its total."""


@dataclass(frozen=True, slots=True)
class Failure:
    source_uri: str
    code: str
    message: str


@dataclass(slots=True)
class Summary:
    """Counts. `unchanged`: ready before, with the same bytes. `waiting`: accepted, without waiting for the
    result. `vanished`: on the server, but not (or no longer) in the folder.
    """

    ready: int = 0
    unchanged: int = 0
    waiting: int = 0
    removed: int = 0
    hidden: int = 0
    vanished: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {
            "ready": self.ready,
            "accepted": self.waiting,
            "failed": len(self.failed),
            "unchanged": self.unchanged,
            "removed": self.removed,
            "vanished": len(self.vanished),
            "hidden left out": self.hidden,
        }
        shown = [f"{count} {what}" for what, count in counts.items() if count]
        return ", ".join(shown) or "nothing to do"


def knowledge_base_id(api: Api, slug: str) -> str | None:
    return next((base["id"] for base in api.pages("/api/v1/knowledge-bases") if base["slug"] == slug), None)


def knowledge_base_ensure(api: Api, slug: str) -> str:
    """Return the id of the knowledge base, creating it with a name from its slug if necessary."""
    if not slug or slugify(slug) != slug:
        raise InvalidInput(f"“{slug}” is no slug. Write it like “{slugify(slug) or 'handbook'}”.")
    return knowledge_base_id(api, slug) or _knowledge_base_created(api, slug)


def _knowledge_base_created(api: Api, slug: str) -> str:
    """Create it with exactly this slug, which later commands use."""
    try:
        body = {"name": slug.replace("-", " ").capitalize(), "slug": slug}
        return str(api.post("/api/v1/knowledge-bases", body)["id"])
    except ApiProblem as problem:
        if problem.status_code != 409:
            raise
        found = knowledge_base_id(api, slug)  # another command may have created it in the meantime
        if found is None:
            raise
        return found


def ingest(
    api: Api,
    base: str,
    found: LocalFiles,
    summary: Summary,
    tick: Tick,
    *,
    wait_for: bool,
    prune: bool,
    watched: bool = True,
) -> None:
    """Upload files. `summary` is up to date at any time. `watched`: progress is displayed."""
    summary.hidden = found.hidden
    summary.failed += [Failure(uri, str(error.code), error.message) for uri, error in found.rejected]
    summary.failed += [_unreadable(uri, error) for uri, error in found.unreadable]
    known = fetch_known_sources(api, base, found.roots)
    batch = Batch(api, base, found.roots)
    _send_all(batch, known, found.files, summary, tick)
    _handle_vanished(api, batch, known, found, summary, prune=prune)
    batch.close(unchanged=summary.unchanged)
    if wait_for and batch.id:
        _wait(api, batch.id, summary, tick, seldom=_LOOK_SECONDS if watched else _UNWATCHED_SECONDS)


def fetch_known_sources(api: Api, base: str, roots: list[str]) -> dict[str, Json]:
    """Return the server's documents below the roots, by source."""
    path = f"/api/v1/knowledge-bases/{base}/sources"
    asked = roots if len(roots) <= _MANY_ROOTS else [""]
    rows = (row for under in asked for row in api.pages(path, limit=_SOURCES, under=under))
    return {row["source_uri"]: row for row in rows if _is_below(row["source_uri"], roots)}


def _is_below(uri: str, roots: Iterable[str]) -> bool:
    return any(uri.startswith(root) if root.endswith("/") else uri == root for root in roots)


Outcome = Literal["unchanged", "accepted"] | Failure
Opened = tuple[LocalFile, IO[bytes]]


class Batch:
    """The import on the server, opened with the first file that is sent."""

    def __init__(self, api: Api, base: str, roots: list[str]) -> None:
        self._api, self._base = api, base
        self._label = ", ".join(root.rstrip("/") for root in roots)[:255] or "files"
        self._lock = threading.Lock()
        self.id: str | None = None

    def ensure(self) -> str:
        with self._lock:
            if self.id is None:
                path = f"/api/v1/knowledge-bases/{self._base}/imports"
                self.id = str(self._api.post(path, {"label": self._label})["id"])
            return self.id

    def close(self, *, unchanged: int) -> None:
        if self.id is not None:
            self._api.post(f"/api/v1/imports/{self.id}/close", {"unchanged": unchanged})

    def upload(self, files: Sequence[Opened]) -> list[Json]:
        return self._api.upload(
            f"/api/v1/imports/{self.ensure()}/items",
            files=[(file.name, stream) for file, stream in files],
            fields={"source_uri": [file.source_uri for file, _ in files]},
        )


def _send_all(
    batch: Batch, known: dict[str, Json], files: list[LocalFile], summary: Summary, tick: Tick
) -> None:
    """Send files concurrently. Refused files are counted and skipped."""
    tick("Uploading", 0, len(files))
    with ThreadPoolExecutor(_MAX_CONCURRENT_REQUESTS, thread_name_prefix="upload") as pool:
        try:
            sent = _few_at_a_time(pool, (partial(_send, batch, known, parcel) for parcel in parcels(files)))
            done = 0
            for outcomes in sent:
                for outcome in outcomes:
                    _count(outcome, summary)
                done += len(outcomes)
                tick("Uploading", done, len(files))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def parcels(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """Yield files for one request each: small files together, large ones alone."""
    parcel: list[LocalFile] = []
    size = 0
    for file in files:
        if parcel and (len(parcel) == _PARCEL_FILES or size + file.size > _PARCEL_BYTES):
            yield parcel
            parcel, size = [], 0
        parcel.append(file)
        size += file.size
    if parcel:
        yield parcel


def _few_at_a_time(
    pool: ThreadPoolExecutor, calls: Iterable[Callable[[], list[Outcome]]]
) -> Iterator[list[Outcome]]:
    """Run calls with a bounded backlog and yield results as they complete."""
    running: set[Future[list[Outcome]]] = set()
    for call in calls:
        running.add(pool.submit(call))
        if len(running) >= 2 * _MAX_CONCURRENT_REQUESTS:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ended)
    yield from (future.result() for future in running)


def _count(outcome: Outcome, summary: Summary) -> None:
    if isinstance(outcome, Failure):
        summary.failed.append(outcome)
    elif outcome == "unchanged":
        summary.unchanged += 1
    else:
        summary.waiting += 1


def _send(batch: Batch, known: dict[str, Json], parcel: Sequence[LocalFile]) -> list[Outcome]:
    """Send changed files and return the outcome of each."""
    outcomes: list[Outcome] = []
    changed: list[Opened] = []
    with ExitStack() as streams:
        for file in parcel:
            try:
                stream = streams.enter_context(file.open())
                outcome = _find_known_outcome(known.get(file.source_uri), file, stream)
            except (OSError, DocumentRejected) as error:
                outcome = _failure_from(file, error)
            if outcome is None:
                changed.append((file, stream))
            else:
                outcomes.append(outcome)
        return outcomes + _upload(batch, changed)


def _find_known_outcome(there: Json | None, file: LocalFile, stream: IO[bytes]) -> Outcome | None:
    """Return the outcome if the server has the same file; None if it has to be sent."""
    if there is None or there["sha256"] != _digest(stream):
        return None
    if there["status"] == "ready":
        return "unchanged"
    if there["status"] == "failed" and not there["again"]:
        return _failure(file.source_uri, there["error"])
    return None


def _upload(batch: Batch, files: Sequence[Opened]) -> list[Outcome]:
    """Upload files together, and individually if an error may concern only one of them, or their size."""
    if not files:
        return []
    try:
        answers = batch.upload(files)
    except (OSError, CairnError) as error:
        if not _about_the_file(error):
            raise
        if len(files) == 1:
            return [_failure_from(files[0][0], error)]
        return [outcome for file in files for outcome in _upload(batch, [file])]
    return [
        _failure(file.source_uri, answer["error"]) if answer["outcome"] == "refused" else "accepted"
        for (file, _), answer in zip(files, answers, strict=True)
    ]


def _failure_from(file: LocalFile, error: OSError | CairnError) -> Failure:
    if isinstance(error, OSError):
        return _unreadable(file.source_uri, error)
    return Failure(file.source_uri, str(error.code), error.message)


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _unreadable(source_uri: str, error: OSError) -> Failure:
    return Failure(source_uri, "unreadable", f"It cannot be read: {error.strerror or error}.")


def _failure(source_uri: str, error: Json | None) -> Failure:
    known = error or {"code": "failed", "message": "It failed for a reason that the server did not tell."}
    return Failure(source_uri, known["code"], known["message"])


def _about_the_file(error: OSError | CairnError) -> bool:
    """Return whether an error concerns the file rather than the server or the key."""
    if isinstance(error, ApiProblem):
        return error.status_code in _ABOUT_THE_FILE
    return not isinstance(error, TransientError)


def _handle_vanished(
    api: Api, batch: Batch, known: dict[str, Json], found: LocalFiles, summary: Summary, *, prune: bool
) -> None:
    """Remove or report vanished documents of folder imports; documents uploaded otherwise stay."""
    present = {file.source_uri for file in found.files} | {uri for uri, _ in found.rejected}
    imported = {uri for uri, row in known.items() if row["imported"]}
    unknown = tuple(found.unknown)
    gone = [uri for uri in sorted(imported - present) if not f"{uri}/".startswith(unknown)]
    if not prune:
        summary.vanished += gone
        return
    protected = _find_protected_folders(known.keys(), present, found)
    for folder, why in protected.items():
        if below := sum(_is_below(uri, [folder]) for uri in gone):
            message = f"{why}, so the {below} documents from it were not removed."
            summary.failed.append(Failure(folder, "empty_folder", message))
    removed = [uri for uri in gone if not _is_below(uri, protected)]
    _remove_all(api, batch, [known[uri]["document"] for uri in removed])
    summary.removed += len(removed)


def _find_protected_folders(known: Iterable[str], present: set[str], found: LocalFiles) -> dict[str, str]:
    """Return folders from which nothing is removed, with the reason: a disk may be missing, or another folder
    of the same name be meant.
    """
    met = present.intersection(known)
    protected = {root: _OTHER for root in found.roots if not any(_is_below(uri, [root]) for uri in met)}
    protected |= {root: _EMPTY for root in protected if not any(_is_below(uri, [root]) for uri in present)}
    return protected | {folder: _EMPTY for folder in found.empty if not _is_below(folder, protected)}


def _remove_all(api: Api, batch: Batch, documents: Iterable[str]) -> None:
    for document in documents:
        try:
            api.delete(f"/api/v1/documents/{document}", **{"import": batch.ensure()})
        except ApiProblem as problem:
            if problem.status_code != 404:  # another command was faster
                raise


def _wait(api: Api, batch: str, summary: Summary, tick: Tick, *, seldom: float) -> None:
    """Poll until the import is over, at most every `seldom` seconds while many files are left.

    The number of requests does not depend on the number of files.
    """
    path = f"/api/v1/imports/{batch}"
    started = moved = time.monotonic()
    open_before = -1
    while True:
        began = time.monotonic()
        now = api.get(path)
        counts = now["counts"]
        open_ones = counts["queued"] + counts["processing"]
        total = counts["files"] - counts["unchanged"] - counts["removed"] - counts["refused"]
        tick("Processing", total - open_ones, total)
        if now["state"] in {"done", "cancelled"}:
            break
        asked = time.monotonic()
        if open_ones != open_before:
            open_before, moved = open_ones, asked
        left = (asked - started) * open_ones / max(total - open_ones, 1)
        # More often towards the end, unless the last ones take long.
        pause = max(_SOON_SECONDS, min(left / 4, seldom), min((asked - moved) / 4, _LOOK_SECONDS))
        time.sleep(max(pause, 10 * (asked - began)))
    summary.ready, summary.waiting, summary.unchanged = counts["ready"], 0, counts["unchanged"]
    _failures(api, path, summary)


def _failures(api: Api, path: str, summary: Summary) -> None:
    reported = {failure.source_uri for failure in summary.failed}
    items = api.pages(f"{path}/items", failed=True)
    summary.failed += [
        _failure(item["source_uri"], item["error"]) for item in items if item["source_uri"] not in reported
    ]
