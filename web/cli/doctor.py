"""Diagnosis of the installation: settings, connections, and missing programs."""

import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import httpx
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from cairn.accounts.models import User
from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.http import ssrf_guard
from cairn.inference.chat import find_gguf
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.local_models import ModelFolder
from cairn.inference.registry import EmbedderChoice, configured_embedder
from cairn.inference.reranking import find_reranker_folder, open_reranker, reranks
from cairn.library.storage import check_file_storage
from cairn.settings import environment
from cairn.settings.chat_models import DEMONSTRATION_ONLY
from cairn.settings.dotted_paths import is_dotted
from cairn.settings.file_permissions import open_to_others
from cairn.settings.stored.store import effective_environment
from ingestion import broker
from ingestion.parse import parser_pool
from ingestion.parse.ocr import tesseract
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.pool import probe_walls
from retrieval.index.backends import index_backend
from retrieval.index.generations import choice_of, unlike_configured
from retrieval.models import IndexGeneration
from web.cli.api_client import Api
from web.data_dir.restore_marker import require_finished
from web.health.processes import check_beat, check_queue, check_workers
from web.health.results import HealthResult, HealthState
from web.health.storage import ROOM_NEEDED, check_backup, count_pending_migrations
from web.mail.check import check_mail_server
from web.mail.server import configured_mail_server
from web.processes.data_dir_lock import holder_of

PACKAGES = (
    "cairn",
    "django",
    "celery",
    "qdrant-edge-py",
    "qdrant-client",
    "openvino",
    "openvino-genai",
    "sentence-transformers",
    "torch",
    "unstructured",
    "pypdfium2",
    "llama-index-core",
)
NOT_CONFIGURED = "not configured, and not needed"
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. `optional`: Cairn works without it, except for some files or sandbox layers."""

    name: str
    ok: bool
    detail: str
    optional: bool = False


class Lacking(ConfigurationError):
    """An optional part is missing."""


def findings() -> Iterator[Finding]:
    """Yield findings one by one, since some checks wait for other machines."""
    for name, check in CHECKS.items():
        try:
            yield Finding(name, True, check())
        except (CairnError, DatabaseError, OSError) as error:
            detail = error.message if isinstance(error, CairnError) else str(error)
            yield Finding(name, False, detail, optional=isinstance(error, Lacking))


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _packages() -> str:
    missing = [name for name, found in versions().items() if found == "missing"]
    if missing:
        raise ConfigurationError(f"Not installed: {', '.join(missing)}. Run make .venv.")
    return f"Python {platform.python_version()}, Cairn {version('cairn')}"


def _data_dir() -> str:
    folder = Path(settings.DATA_DIR)
    require_finished()
    probe = folder / "tmp" / "doctor"
    probe.write_bytes(b"x")
    probe.unlink()
    free = shutil.disk_usage(folder).free
    if free < ROOM_NEEDED:
        raise ConfigurationError(f"{folder} has only {free >> 20} MB left.")
    if exposed := open_to_others(folder, settings.SQLITE_FILE):
        raise Lacking(
            f"Other users of this machine can access {exposed[0]}, and Cairn can't change that. "
            f"As its owner: chmod go= {exposed[0]}"
        )
    return f"{folder}, {free / (1 << 30):.0f} GB free"


def _database() -> str:
    connection = connections[DEFAULT_DB_ALIAS]
    waiting = count_pending_migrations()
    name = f"{connection.vendor} {connection.settings_dict['NAME']}"
    return f"{name}, {waiting} migrations pending until the next start" if waiting else name


def _admin() -> str:
    try:
        names = User.objects.active().filter(is_admin=True).values_list("username", flat=True)
        known = ", ".join(names[:5])
    except DatabaseError:
        known = ""
    return known or "created at the first start"


def _broker() -> str:
    url = environment().celery_broker_url
    if url.startswith("memory:"):
        return "inside the process"
    try:
        broker.ping()
    except (OperationalError, OSError, ImportError) as error:
        raise Unavailable(f"The broker isn't responding: {type(error).__name__}.") from error
    return "answers"


def _files() -> str:
    bucket, server = environment().s3_bucket, environment().s3_endpoint_url
    if bucket is None:
        return str(settings.MEDIA_ROOT)
    try:
        check_file_storage()
    except FileNotFoundError as error:
        raise ConfigurationError(f"Bucket {bucket} doesn't exist.") from error
    return f"bucket {bucket} at {server or 'Amazon S3'}"


def _embedder() -> str:
    """Check the active embedding model, and whether another one is configured."""
    row = _answering()
    choice = choice_of(row) if row else configured_embedder()
    where = _place_of(choice)
    if row and (unlike := unlike_configured(row)):
        raise Lacking(f"{where}. {unlike}")
    return where


def _answering() -> IndexGeneration | None:
    try:
        return IndexGeneration.objects.active().first()
    except DatabaseError:  # before the first start
        return None


def _place_of(choice: EmbedderChoice) -> str:
    url = environment().embedding_base_url
    if not choice.served and is_dotted(choice.model):
        return _require_installed("EMBEDDING_MODEL", choice.model)
    if not choice.served:
        return f"{choice.model} in {EncoderFolder.of(choice.model).path}"
    if url is None:
        raise ConfigurationError(f"{choice.model} was served by EMBEDDING_BASE_URL, which is no longer set.")
    _answers(f"{url.rstrip('/')}/models", _bearer(environment().embedding_api_key))
    return f"{choice.model} at {url}"


def _chat_model() -> str:
    given = effective_environment()
    model, urls, dotted = given.llm_model, given.llm_base_urls, given.llm_class
    if dotted is not None:
        return _require_installed("LLM_CLASS", dotted)
    if urls:
        for url in urls:
            stored = given.is_stored("llm_base_url")
            _answers(f"{url.rstrip('/')}/models", _bearer(given.llm_api_key), from_console=stored)
        return f"{model or 'the first model'} at {', '.join(urls)}"
    path = find_gguf(given)
    if not path.exists():
        raise ConfigurationError(f"LLM_MODEL is {path}, which doesn't exist.")
    return f"{path}. {DEMONSTRATION_ONLY}" if given.has_packaged_chat_model else str(path)


def _reranker() -> str:
    model, url = environment().reranker_model, environment().reranker_base_url
    if not reranks(environment()):
        return NOT_CONFIGURED
    if url is not None:
        with closing(open_reranker(environment())) as reranker:
            reranker.probe()
        return f"{model or 'the only model'} at {url}"
    if model is not None and is_dotted(model):
        return _require_installed("RERANKER_MODEL", model)
    return str(find_reranker_folder(environment()))


def _answer_reader() -> str:
    return _reading("ANSWERABILITY_MODEL", environment().answerability_model)


def _grounding_model() -> str:
    return _reading("GROUNDING_MODEL", environment().grounding_model)


def _reading(setting: str, model: str | None) -> str:
    return NOT_CONFIGURED if model is None else str(ModelFolder.of(setting, model).path)


def _require_installed(setting: str, dotted: str) -> str:
    if find_spec(dotted.partition(".")[0]) is None:
        raise ConfigurationError(f"{setting} is {dotted}, which isn't installed.")
    return dotted


def _mail_server() -> str:
    if configured_mail_server() is None:
        if environment().smtp_host:
            raise ConfigurationError("SMTP_HOST is set, but MAIL_FROM isn't, so no mail is sent.")
        return NOT_CONFIGURED
    verdict = check_mail_server()
    if not verdict.ok:
        raise Unavailable(verdict.message)
    return verdict.message


def _old_office_files() -> str:
    return str(_program(programs.SOFFICE, "LibreOffice", "old Office files (.doc, .ppt)"))


def _text_recognition() -> str:
    """Check Tesseract. Poppler is not needed, since PDFium renders the pages."""
    path = _program(programs.TESSERACT, "Tesseract", "images (.png, .jpg, .tiff) and scanned pages of a PDF")
    limits = parser_pool.limits()
    there = [name for name in tesseract.languages(limits) if name not in tesseract.NOT_A_LANGUAGE]
    known = ", ".join(there) or "none"
    absent = [name for name in limits.ocr_languages.split("+") if name and name not in there]
    if absent:
        raise ConfigurationError(
            f"OCR_LANGUAGES includes {', '.join(absent)}, but Tesseract has no data for it. "
            f"Available: {known}."
        )
    if not there:
        raise Lacking(f"{path} has no language data, so images and scanned pages won't be read.")
    return f"{path}, languages: {known}"


def _other_documents() -> str:
    return str(_program(programs.PANDOC, "Pandoc", "RTF, ODT, EPUB, RST and Org files"))


def _program(program: str, name: str, read_by_it: str) -> Path:
    path = programs.find(program)
    if path is None:
        raise Lacking(f"{name} isn't installed, so {read_by_it} won't be read.")
    return path


def _parser_processes() -> str:
    walls = probe_walls(Path(settings.DATA_DIR) / "tmp")
    missing = [
        name
        for name, enforced in (("the network", walls.network), ("other files", walls.files))
        if not enforced
    ]
    if missing:
        raise Lacking(
            f"This kernel can't isolate document parsers from {' and '.join(missing)}; "
            "only Python's own guards apply. Run Cairn on Linux with Landlock and seccomp."
        )
    return "isolated from the network and other files by the kernel"


def _server() -> str:
    """Query the readiness of the server that owns DATA_DIR."""
    holder = holder_of(Path(settings.DATA_DIR))
    if holder is None:
        return "not running"
    if holder.url is None:
        return f"starting: {holder}"
    with Api(holder.url) as api:
        checks = api.get("/readyz")["checks"]
    away = [name for name, check in checks.items() if not check["ok"]]  # of what Cairn can do without
    summary = f"{holder}: {', '.join(name for name in checks if name not in away)} answer"
    return f"{summary}; {', '.join(away)} do not" if away else summary


def _require_running(check: Callable[[], HealthResult]) -> Callable[[], str]:
    """Check a part of a running installation. It isn't missed before the start."""

    def run() -> str:
        is_embedded = environment().celery_broker_url.startswith("memory:")
        if is_embedded and holder_of(Path(settings.DATA_DIR)) is None:
            return "not running"
        return _report_health(check)

    return run


def _report_health(check: Callable[[], HealthResult]) -> str:
    """Return the message of a healthy part; raise Lacking for a warning, ConfigurationError for a problem."""
    try:
        result = check()
    except DatabaseError:
        return "known after the first start"
    text = " ".join(filter(None, (result.message, result.remedy, result.command)))
    if result.state == HealthState.WARNING:
        raise Lacking(text)
    if result.state == HealthState.PROBLEM:
        raise ConfigurationError(text)
    return result.message


def _bearer(key: SecretStr | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def _answers(url: str, headers: dict[str, str], *, from_console: bool = False) -> None:
    try:
        with ssrf_guard.client(url, from_console=from_console, headers=headers, timeout=_SECONDS) as http:
            response = http.get(url)
    except httpx.HTTPError as error:
        raise Unavailable(f"{url} does not answer ({type(error).__name__}).") from error
    if response.status_code >= 400:
        raise Unavailable(f"{url} answers {response.status_code}.")


CHECKS: dict[str, Callable[[], str]] = {
    "Packages": _packages,
    "Data folder": _data_dir,
    "Database": _database,
    "Admins": _admin,
    "Queue": _broker,
    "Vector index": lambda: index_backend().check(),
    "Files": _files,
    "Embedding model": _embedder,
    "Language model": _chat_model,
    "Reranker": _reranker,
    "Reader model": _answer_reader,
    "Grounding model": _grounding_model,
    "Mail server": _mail_server,
    "Old Office files": _old_office_files,
    "Text recognition": _text_recognition,
    "Other documents": _other_documents,
    "Parser processes": _parser_processes,
    "Server": _server,
    "Workers": _require_running(check_workers),
    "Beat": _require_running(check_beat),
    "Waiting": _require_running(check_queue),
    "Last backup": lambda: _report_health(check_backup),
}
