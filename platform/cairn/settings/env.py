"""The one reader of the environment. Fields have the names of the environment variables, in lower case."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cairn.settings.chat_models import DOWNLOADABLE, PACKAGED, DownloadableModel, load_chosen_model

ROOT = Path(__file__).resolve().parents[3]
_LISTS = (
    "allowed_hosts",
    "trusted_origins",
    "trusted_proxies",
    "outgoing_allowed_hosts",
    "watch_roots",
    "source_readers",
)


RENAMED: Final[Mapping[str, str]] = {
    "gaps": "knowledge_gaps_enabled",
    "streams_at_once": "max_concurrent_streams",
    "followed_at_once": "max_concurrent_subscriptions",
    "llm_parallel": "llm_max_concurrency",
    "llm_wait_seconds": "llm_queue_timeout_seconds",
    "llm_first_token_seconds": "llm_first_token_timeout_seconds",
    "llm_token_seconds": "llm_inter_token_timeout_seconds",
    "reranker_seconds": "reranker_timeout_seconds",
    "parse_seconds": "parse_timeout_seconds",
    "drain_seconds": "shutdown_drain_seconds",
    "stream_end_seconds": "shutdown_stream_seconds",
    "verify_access_hours": "access_check_interval_hours",
    "worker_metrics": "worker_metrics_address",
}
"""Current names by deprecated name. Deprecated names stay valid."""

EDGE = "qdrant-edge"
PACKAGED_RERANKER = "ms-marco-MiniLM-L-12-v2"
NO_RERANKER = "none"
ONE_PROCESS_ONLY = (
    "The vector index is {store}, which only one process can open. To run several processes, set QDRANT_URL "
    "to a Qdrant server, and leave VECTOR_INDEX empty."
)


def accept_deprecated_names(source: PydanticBaseSettingsSource) -> EnvSettingsSource:
    """Let a source read a deprecated name where the current one is missing or empty."""
    assert isinstance(source, EnvSettingsSource)
    deprecated = {
        new + suffix: value
        for old, new in RENAMED.items()
        for suffix in ("", "_file")
        if (value := source.env_vars.get(old + suffix)) and not source.env_vars.get(new + suffix)
    }
    source.env_vars = {**source.env_vars, **deprecated}
    return source


class FileVariantSource(EnvSettingsSource):
    """Reads NAME from the file that NAME_FILE names, for secrets mounted as files."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        path = self.env_vars.get(f"{field_name}_file")
        if not path:
            return None, field_name, False
        return Path(path).read_text(encoding="utf-8").strip(), field_name, False


class Environment(BaseSettings):
    model_config = SettingsConfigDict(env_file=ROOT / ".env", extra="ignore", frozen=True)

    _stored: frozenset[str] = PrivateAttr(frozenset())

    data_dir: Path = Field(
        Path("var"), description="Folder in which an embedded installation stores everything"
    )
    secret_key: SecretStr | None = Field(
        None, description="Signs sessions; generated at first start if not set"
    )
    backup_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Authenticates backups; derived from SECRET_KEY, or generated at the first "
        "backup, if not set",
    )
    cairn_admin_password: SecretStr | None = Field(None, description="Password of the first admin")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Host names that Cairn answers to, separated by commas",
    )
    trusted_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Public origins behind a TLS proxy, such as https://cairn.example.org; links for "
        "forgotten passwords lead to the first",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (IPv4Network("127.0.0.1"), IPv6Network("::1")),
        description="Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto "
        "are trusted",
    )
    outgoing_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Internal hosts that a configured server may redirect Cairn to"
    )
    identity_providers: Path | None = Field(
        None, description="TOML file that describes OpenID Connect and SAML providers"
    )
    unofficial_knowledge_bases: Literal["include", "exclude"] = Field(
        "include",
        description="Whether questions and searches that name no knowledge base cover unofficial ones",
    )
    require_mfa: Literal["off", "admins", "everyone"] = Field(
        "off", description="Users who must set up a second factor before they can do anything else"
    )
    default_language: Literal["en", "de"] = Field(
        "en",
        description="Interface language for users who haven't chosen one and whose browser requests "
        "none that Cairn has",
    )
    time_zone: str = Field("UTC", description="Time zone of the days in the overview, such as Europe/Berlin")
    cairn_debug: bool = False

    ldap_url: str | None = Field(
        None,
        description="LDAP directory for sign-in: ldaps://host, or ldap://host with StartTLS",
    )
    ldap_ca_file: Path | None = Field(
        None, description="CA certificates for the LDAP server, instead of the system's"
    )
    ldap_bind_dn: str = Field("", description="Account for searching the directory; anonymous if empty")
    ldap_bind_password: SecretStr | None = None
    ldap_user_base: str = Field(
        "", description="Where to search for users, such as ou=people,dc=example,dc=org"
    )
    ldap_user_filter: str = Field(
        "(uid={username})", description="LDAP filter that finds a user by user name"
    )
    ldap_user_name: str = Field(
        "uid", description="Attribute that contains the user name; sAMAccountName for Active Directory"
    )
    ldap_group_base: str = Field(
        "", description="Where to search for groups; without it, no groups are imported"
    )
    ldap_group_filter: str = Field(
        "(member={dn})", description="LDAP filter that finds a user's groups; may contain {dn} or {username}"
    )

    smtp_host: str | None = Field(
        None, description="Mail server for invitations and password resets; no mail is sent if not set"
    )
    smtp_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the mail server; if not set, 587 with StartTLS, 465 with TLS, 25 without",
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to the mail server is encrypted"
    )
    smtp_user: str = Field("", description="User name at the mail server; no sign-in if empty")
    smtp_password: SecretStr | None = None
    smtp_ca_file: Path | None = Field(
        None, description="CA certificates for the mail server, instead of the system's"
    )
    mail_from: str | None = Field(
        None,
        pattern=r"^[^\r\n]+@[^\r\n]+$",
        description="Sender of mail, such as Cairn <cairn@example.org>; required for sending",
    )

    database_url: str | None = Field(
        None, description="postgres://user:password@host/name; SQLite in DATA_DIR if not set"
    )
    database_pool_size: int = Field(
        24, ge=2, description="Maximum number of PostgreSQL connections per process"
    )
    database_pool_seconds: float = Field(
        10, gt=0, description="Seconds that a request waits for a connection"
    )
    celery_broker_url: str = Field(
        "memory://", description="Task queue: redis://… or amqp://…; memory:// runs it in the process"
    )
    vector_index: str | None = Field(
        None,
        description="Vector store: qdrant-edge, qdrant-server or the dotted path of a class; if not set, "
        "qdrant-server with QDRANT_URL, else qdrant-edge",
    )
    qdrant_url: str | None = Field(None, description="Qdrant server; Qdrant Edge in DATA_DIR if not set")
    qdrant_api_key: SecretStr | None = None
    qdrant_replication_factor: int = Field(
        1,
        ge=1,
        description="Number of Qdrant servers that store each passage, for indexes created from now on",
    )
    qdrant_write_consistency: int = Field(1, ge=1, description="Number of replicas that must confirm a write")
    qdrant_shards: int | None = Field(
        None, ge=1, description="Number of shards of an index; one per server if not set"
    )
    s3_bucket: str | None = Field(None, description="Bucket for files; files are in DATA_DIR if not set")
    s3_prefix: str = Field("", description="Prefix of all object names, such as cairn/")
    s3_endpoint_url: str | None = Field(None, description="S3 server; Amazon's if not set")
    s3_region: str | None = None
    s3_access_key: str | None = Field(
        None, description="S3 credentials; boto3's defaults, such as a role, if not set"
    )
    s3_secret_key: SecretStr | None = None
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Bucket in the path or in the host name; MinIO and Ceph need path"
    )
    s3_ca_file: Path | None = Field(None, description="CA certificates for the S3 server")
    shutdown_drain_seconds: float = Field(
        5,
        ge=0,
        description="Seconds that a web process reports it is about to stop before it refuses requests",
    )
    shutdown_stream_seconds: float = Field(
        30,
        ge=0,
        description="Seconds that answers in progress may then take to finish",
    )

    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="all-MiniLM-L6-v2, multilingual-e5-small if installed, the path of a "
        "sentence-transformers model, or the dotted path of a LlamaIndex embedding",
    )
    embedding_base_url: str | None = Field(None, description="OpenAI-compatible embedding server")
    embedding_api_key: SecretStr | None = None
    embedding_backend: str = Field(
        "auto", description="What runs a local embedding model: auto, openvino or torch"
    )
    reranker_model: str | None = Field(
        None,
        description="Reranker: a cross-encoder's folder or name, a served model, or the dotted path "
        "of a LlamaIndex postprocessor; the packaged one if not set; none: no reranker",
    )
    reranker_base_url: str | None = Field(
        None, description="Server that offers POST /rerank (vLLM, TEI, Jina, Cohere)"
    )
    reranker_api_key: SecretStr | None = None
    reranker_timeout_seconds: float = Field(
        2,
        gt=0,
        le=60,
        description="Seconds that a search waits for the reranker",
    )
    answerability_model: str | None = Field(
        None, description="Model that decides whether passages contain the answer: folder or cached name"
    )
    grounding_model: str | None = Field(
        None, description="NLI model that checks the sentences of answers: folder or cached name"
    )
    llm_base_url: str | None = Field(
        None,
        description="OpenAI-compatible server that writes answers; several URLs, separated by "
        "commas, serve the same model",
    )
    llm_api_key: SecretStr | None = None
    llm_model: str | None = Field(
        None,
        description="Name of the served model; without LLM_BASE_URL, the path of a GGUF file, or "
        "smollm2-135m or qwen2.5-coder-1.5b; if not set, the model chosen last",
    )
    llm_class: str | None = Field(None, description="Dotted path of a LlamaIndex LLM class to use instead")
    llm_context_tokens: int = Field(8192, ge=512, description="Context window assumed for a served model")
    llm_system_role: bool = Field(
        True,
        description="Whether the chat template supports a system role; if not, instructions go into "
        "the user turn",
    )
    llm_max_concurrency: int = Field(
        128,
        ge=1,
        description="Maximum number of concurrent requests from one process to one server",
    )
    llm_queue_timeout_seconds: float = Field(
        120,
        gt=0,
        description="Seconds that a user's question waits in the queue",
    )
    llm_first_token_timeout_seconds: float = Field(
        120,
        gt=0,
        description="Seconds until a server's first token",
    )
    llm_inter_token_timeout_seconds: float = Field(
        60,
        gt=0,
        description="Seconds between two tokens of a server",
    )
    llm_breaker_failures: int = Field(
        3, ge=1, description="Consecutive failures after which a server gets no more requests"
    )
    llm_breaker_seconds: float = Field(
        5, gt=0, description="Seconds between tests of that server, until it responds"
    )
    llm_location: Literal["inside", "outside"] = Field(
        "inside",
        description="Where the language model runs; one outside gets no passage of a knowledge base that "
        "forbids outside models",
    )
    outside_models: Literal["allow", "forbid"] = Field(
        "allow", description="Whether outside models may read knowledge bases that don't say so themselves"
    )
    judge_base_url: str | None = Field(
        None, description="OpenAI-compatible server that judges answers in evaluations"
    )
    judge_api_key: SecretStr | None = None
    judge_location: Literal["inside", "outside"] = Field(
        "inside", description="Where the judge runs, like LLM_LOCATION"
    )
    judge_model: str | None = Field(None, description="Name of the served model that judges")
    answer_evidence_tokens: int | None = Field(
        None,
        ge=64,
        description="Size of the passages given to the model; if not set, 500 for smollm2-135m, "
        "1000 for another one in this process, else a third of the context window, at most 4000",
    )
    answer_max_tokens: int = Field(
        320, ge=16, description="Maximum length of an answer, or of each part if a question has several"
    )
    answer_style: Literal["auto", "written", "quoted"] = Field(
        "auto",
        description="Whether the model writes answers or the passages are quoted; auto: written by any "
        "model but smollm2-135m",
    )
    rewrite_questions: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the model rewrites follow-up questions as standalone ones; auto: any "
        "model but smollm2-135m and qwen2.5-coder-1.5b",
    )

    parse_memory_mb: int = Field(2048, ge=256, description="Memory limit of a parser process")
    parse_timeout_seconds: int = Field(
        120,
        ge=1,
        description="Time limit for parsing one file, in seconds of wall time and of CPU time",
    )
    upload_max_mb: int = Field(200, ge=1, description="Maximum upload size of one file")
    max_pages: int = Field(3000, ge=1, description="Maximum number of pages per document")
    max_ocr_pages: int = Field(
        500, ge=0, description="Maximum number of pages per document that go through text recognition (OCR)"
    )
    ocr_languages: str = Field(
        "",
        pattern=r"^([A-Za-z_/]+(\+[A-Za-z_/]+)*)?$",
        description="Tesseract language codes, such as eng+deu; common ones that are installed if not set",
    )
    job_max_attempts: int = Field(8, ge=1, description="Attempts per job; eight span ten minutes of outage")
    job_lease_seconds: int = Field(
        45, ge=3, description="Seconds that a worker may be silent before others take over its job"
    )
    job_retry_seconds: float = Field(
        5, gt=0, description="Pause after the first failed attempt; it doubles each time"
    )
    sweep_seconds: float = Field(30, gt=0, description="Seconds between searches for interrupted work")
    worker_threads: int = Field(
        16,
        ge=1,
        description="Number of documents that a worker processes at once; their passages share the encoder",
    )
    parser_processes: int = Field(2, ge=1, description="Maximum number of files that a worker parses at once")
    source_readers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Dotted paths of LlamaIndex readers that administrators may use as sources"
    )
    watch_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Server folders in which admins may set up watched folders, separated by commas"
    )
    access_check_interval_hours: float = Field(
        24,
        ge=0,
        le=720,
        description="Hours between automatic access checks; 0: never",
    )
    questions_per_minute: int = Field(
        300, ge=0, description="Questions per user, unless an admin sets another limit; 0: unlimited"
    )
    questions_per_day: int = Field(
        0, ge=0, description="Questions per user and day, which starts at midnight UTC; 0: unlimited"
    )
    tokens_per_day: int = Field(
        0, ge=0, description="Tokens that the language model reads and writes per user and day; 0: unlimited"
    )
    searches_per_minute: int = Field(
        0, ge=0, description="Searches per user; those that are part of a question don't count; 0: unlimited"
    )
    uploads_per_minute: int = Field(0, ge=0, description="Uploaded files per user; 0: unlimited")
    uploads_per_day: int = Field(0, ge=0, description="Uploaded files per user and day; 0: unlimited")
    upload_mb_per_day: int = Field(
        0, ge=0, description="Total size of uploaded files per user and day; 0: unlimited"
    )
    max_concurrent_streams: int = Field(
        32,
        ge=0,
        description="Answers being written at the same time for one user; 0: unlimited",
    )
    conversation_retention_days: int = Field(
        0,
        ge=0,
        le=36500,
        description="Days after which conversations that nobody has continued are deleted; 0: never",
    )
    knowledge_gaps_enabled: bool = Field(
        True,
        description="Whether refused and badly rated questions are shown, without names, to the "
        "people who maintain the documents",
    )
    max_concurrent_subscriptions: int = Field(
        50,
        ge=0,
        description="Live updates of imports, jobs and queues that a user may follow at the same time; "
        "0: unlimited",
    )
    watchdog_seconds: float = Field(
        0,
        ge=0,
        description="Seconds without a heartbeat until a process is killed and replaced; 0: never",
    )
    notify_socket: str | None = Field(None, description="Set by systemd: where to report being alive")
    cairn_fault: str = Field("", description="For tests: kill the worker at this step of a job")
    log_level: str = Field("WARNING", description="How much is logged; INFO includes each job")
    log_format: Literal["plain", "json"] = Field("plain", description="json writes one object per line")
    worker_metrics_address: str | None = Field(
        None,
        pattern=r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}$",
        description="Address and port for a worker's Prometheus metrics, such as 0.0.0.0:9100",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector for traces, over HTTP, such as http://otel:4318"
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        None, description="Headers for the collector, such as authorization=Bearer …, separated by commas"
    )
    otel_service_name: str = Field("cairn", description="Name of this installation in traces")
    sample_knowledge_base: bool = Field(
        True, description="Load docs/ as knowledge bases of help for users, admins and operators"
    )

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if self.vector_index == "qdrant-server" and self.qdrant_url is None:
            message = "VECTOR_INDEX is qdrant-server, but QDRANT_URL is not set"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _check_replicas(self) -> Self:
        if self.qdrant_write_consistency > self.qdrant_replication_factor:
            message = "QDRANT_WRITE_CONSISTENCY must not be more than QDRANT_REPLICATION_FACTOR"
            raise ValueError(message)
        return self

    def with_stored(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with values that admins stored in the console."""
        copy = self.model_copy(update=dict(values))
        copy._stored = self._stored | values.keys()
        return copy

    def is_stored(self, name: str) -> bool:
        """Return whether the value was stored in the console, not set by whoever runs the server."""
        return name in self._stored

    @property
    def llm_base_urls(self) -> tuple[str, ...]:
        return tuple(filter(None, (url.strip() for url in (self.llm_base_url or "").split(","))))

    @property
    def vector_store(self) -> str:
        """The name or dotted path of the store: VECTOR_INDEX, or else Qdrant with or without a server.

        Opened by `retrieval.index.backends.index_backend`.
        """
        return self.vector_index or ("qdrant-server" if self.qdrant_url else EDGE)

    @property
    def local_chat_model(self) -> str | None:
        """The name or path of the model in this process; None if LLM_CLASS or a server answers."""
        if self.llm_class or self.llm_base_urls:
            return None
        return self.llm_model or load_chosen_model(self.data_dir)

    @property
    def has_packaged_chat_model(self) -> bool:
        """Whether the bundled demonstration model is the chat model."""
        return self.local_chat_model == PACKAGED

    @property
    def chat_model_name(self) -> str:
        """The model as the settings name it, which is known before it is loaded."""
        return self.llm_model or self.llm_class or self.local_chat_model or ""

    @property
    def downloaded_chat_model(self) -> DownloadableModel | None:
        """The model in this process, if it is one that Cairn installs on request."""
        return DOWNLOADABLE.get(self.local_chat_model or "")

    @property
    def has_packaged_reranker(self) -> bool:
        """Whether the bundled reranker is used, because no other is configured."""
        return not self.reranker_base_url and self.reranker_model in (None, PACKAGED_RERANKER)

    @property
    def excludes_unofficial(self) -> bool:
        """Questions and searches that name no knowledge base leave unofficial ones out."""
        return self.unofficial_knowledge_bases == "exclude"

    @property
    def writes_answers(self) -> bool:
        """The model writes answers. The packaged one is too small to: quotes answer more questions."""
        return self.answer_style == "written" or (
            self.answer_style == "auto" and not self.has_packaged_chat_model
        )

    @property
    def rewrites_questions(self) -> bool:
        without_gpu = self.has_packaged_chat_model or self.downloaded_chat_model
        return self.rewrite_questions == "on" or (self.rewrite_questions == "auto" and not without_gpu)

    @field_validator(*_LISTS, mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`NAME=` in a shell or .env file means: not set."""
        return {name: value for name, value in values.items() if value != ""}

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, value: str) -> str:
        if value not in available_timezones():
            message = f"{value!r} is no time zone, such as Europe/Berlin"
            raise ValueError(message)
        return value

    @field_validator("watchdog_seconds")
    @classmethod
    def _long_enough(cls, value: float) -> float:
        if 0 < value < 5:  # a heartbeat comes every second, later on a busy machine
            message = "must be 0 or at least 5"
            raise ValueError(message)
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return (ROOT / value).resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            *map(accept_deprecated_names, (FileVariantSource(settings_cls), env_settings, dotenv_settings)),
        )
