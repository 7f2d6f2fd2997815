"""The one reader of the environment. Names are the environment variables' own, in lower case."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ROOT = Path(__file__).resolve().parents[3]
_LISTS = ("allowed_hosts", "trusted_origins", "trusted_proxies", "outgoing_allowed_hosts", "watch_roots")


class FileVariantSource(EnvSettingsSource):
    """Reads NAME from the file that NAME_FILE names, for secrets mounted as files."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        path = self.env_vars.get(f"{field_name}_file")
        if not path:
            return None, field_name, False
        return Path(path).read_text(encoding="utf-8").strip(), field_name, False


class Environment(BaseSettings):
    model_config = SettingsConfigDict(env_file=ROOT / ".env", extra="ignore", frozen=True)

    data_dir: Path = Field(Path("var"), description="Everything an embedded install keeps")
    secret_key: SecretStr | None = Field(None, description="Signs sessions; made at first start if absent")
    backup_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Authenticates backups; derived from SECRET_KEY, or made at the first backup, if absent",
    )
    cairn_admin_password: SecretStr | None = Field(None, description="Password of the first admin")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "localhost", "[::1]"), description="Host names the web app answers to, comma-separated"
    )
    trusted_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins behind a TLS proxy that may post forms, such as https://cairn.example.org"
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (IPv4Network("127.0.0.1"), IPv6Network("::1")),
        description="Addresses and networks of proxies whose X-Forwarded-For and -Proto count",
    )
    outgoing_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts of this machine or its network that servers may redirect Cairn to"
    )
    identity_providers: Path | None = Field(
        None, description="TOML file with OpenID Connect and SAML providers that people sign in with"
    )
    unofficial_knowledge_bases: Literal["include", "exclude"] = Field(
        "include",
        description="Whether questions and searches that name no knowledge base cover unofficial ones",
    )
    require_mfa: Literal["off", "admins", "everyone"] = Field(
        "off", description="Who must set up a second factor before they may do anything else"
    )
    default_language: Literal["en", "de"] = Field(
        "en", description="Page language if neither the user nor the browser asks for one that Cairn has"
    )
    time_zone: str = Field("UTC", description="Time zone of the days in the overview, such as Europe/Berlin")
    debug: bool = Field(False, validation_alias=AliasChoices("cairn_debug"))

    ldap_url: str | None = Field(
        None,
        description="Directory that people sign in with: ldaps://host, or ldap://host with StartTLS",
    )
    ldap_ca_file: Path | None = Field(
        None, description="CA certificates for the directory, instead of the system's"
    )
    ldap_bind_dn: str = Field(
        "", description="Account that Cairn searches the directory with; anonymous if empty"
    )
    ldap_bind_password: SecretStr | None = None
    ldap_user_base: str = Field("", description="Where people are, such as ou=people,dc=example,dc=org")
    ldap_user_filter: str = Field(
        "(uid={username})", description="LDAP filter that finds a user by user name"
    )
    ldap_user_name: str = Field("uid", description="Attribute with the user name; sAMAccountName for AD")
    ldap_group_base: str = Field("", description="Where groups are; without it no groups are taken over")
    ldap_group_filter: str = Field(
        "(member={dn})", description="LDAP filter for a user's groups; {dn} or {username}"
    )

    database_url: str | None = Field(None, description="postgres://…; SQLite in DATA_DIR if absent")
    database_pool_size: int = Field(
        24, ge=2, description="Connections to PostgreSQL that one process may have open at once"
    )
    database_pool_seconds: float = Field(
        10, gt=0, description="How long a request waits for one of them, or for a server that is away"
    )
    celery_broker_url: str = Field("memory://", description="redis:// or amqp://; memory:// is in process")
    qdrant_url: str | None = Field(None, description="Qdrant server; Qdrant Edge in DATA_DIR if absent")
    qdrant_api_key: SecretStr | None = None
    qdrant_replication_factor: int = Field(
        1,
        ge=1,
        description="Servers of a Qdrant cluster that hold each passage; for indexes made from now on",
    )
    qdrant_write_consistency: int = Field(
        1, ge=1, description="Of these, how many must have written before a write counts"
    )
    qdrant_shards: int | None = Field(
        None, ge=1, description="Parts that an index is cut into; if absent, one for each server"
    )
    s3_bucket: str | None = Field(None, description="Files are kept there; in DATA_DIR if absent")
    s3_prefix: str = Field("", description="Before the names of all files in the bucket, such as cairn/")
    s3_endpoint_url: str | None = Field(None, description="Server that speaks S3; Amazon's if absent")
    s3_region: str | None = None
    s3_access_key: str | None = Field(None, description="If absent, as boto3 finds it, such as by a role")
    s3_secret_key: SecretStr | None = None
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether the bucket is in the path or in the host name; MinIO and Ceph want path"
    )
    s3_ca_file: Path | None = Field(None, description="Certificates that vouch for the server")
    drain_seconds: float = Field(
        5, ge=0, description="A web process that ends says so for so long before it takes no more requests"
    )
    stream_end_seconds: float = Field(
        30, ge=0, description="Then answers that are being written have so long to end"
    )

    embedding_model: str = Field("all-MiniLM-L6-v2", description="sentence-transformers name or path")
    embedding_base_url: str | None = Field(None, description="OpenAI-compatible /v1 that embeds")
    embedding_api_key: SecretStr | None = None
    embedding_backend: str = Field("auto", description="auto, openvino, torch")
    reranker_model: str | None = Field(
        None,
        description="Cross-encoder that orders what was found: its folder, its name in the Hugging Face "
        "cache, a served name, or the dotted path of a LlamaIndex postprocessor",
    )
    reranker_base_url: str | None = Field(None, description="Server with /rerank (vLLM, TEI, Jina, Cohere)")
    reranker_api_key: SecretStr | None = None
    reranker_seconds: float = Field(
        2, gt=0, le=60, description="Time for reranking, after which what was found stays in its order"
    )
    answerability_model: str | None = Field(
        None, description="Reader trained with unanswerable questions, or an NLI model: folder or cached name"
    )
    grounding_model: str | None = Field(
        None, description="NLI model that checks the sentences of answers: folder or cached name"
    )
    llm_base_url: str | None = Field(
        None,
        description="OpenAI-compatible /v1 that chats (vLLM, Ollama, …); several, comma-separated, serve the "
        "same model",
    )
    llm_api_key: SecretStr | None = None
    llm_model: str | None = Field(None, description="Served model name, or the path of a GGUF file")
    llm_class: str | None = Field(None, description="Dotted path of a LlamaIndex LLM to use instead")
    llm_context_tokens: int = Field(8192, ge=512, description="Context window assumed for a served model")
    llm_system_role: bool = Field(
        True, description="Whether its chat template knows a system role; else the user's turn says it all"
    )
    llm_parallel: int = Field(
        128, ge=1, description="Requests of one process at a server at once; others wait, people's first"
    )
    llm_wait_seconds: float = Field(120, gt=0, description="How long a person's request waits for that")
    llm_first_token_seconds: float = Field(120, gt=0, description="A server's time until its first word")
    llm_token_seconds: float = Field(60, gt=0, description="A server's time between two words")
    llm_breaker_failures: int = Field(
        3, ge=1, description="Failures in a row after which a server is left alone"
    )
    llm_breaker_seconds: float = Field(
        5, gt=0, description="How often it is then asked for one token, until one comes"
    )
    judge_base_url: str | None = Field(None, description="OpenAI-compatible /v1 that judges in evaluations")
    judge_api_key: SecretStr | None = None
    judge_model: str | None = Field(None, description="Name under which the judge's server serves its model")
    answer_evidence_tokens: int | None = Field(
        None,
        ge=64,
        description="Passages put before the model; 500 for the packaged one if absent, else a third of the "
        "context, 4000 at most",
    )
    answer_max_tokens: int = Field(320, ge=16, description="Longest answer to a question, or to a part of it")
    rewrite_questions: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the language model makes follow-ups stand by themselves; auto: any but the "
        "packaged one",
    )

    parse_memory_mb: int = Field(2048, ge=256, description="Memory one parser process may take")
    parse_seconds: int = Field(120, ge=1, description="Wall and CPU time for parsing one file")
    upload_max_mb: int = Field(200, ge=1, description="Largest file accepted")
    max_pages: int = Field(3000, ge=1, description="Most pages a document may have")
    max_ocr_pages: int = Field(500, ge=0, description="Most pages of a document that are read by OCR")
    ocr_languages: str = Field(
        "",
        pattern=r"^([A-Za-z_/]+(\+[A-Za-z_/]+)*)?$",
        description="Tesseract's names of the languages in scans, such as eng+deu; the usual ones if absent",
    )
    job_max_attempts: int = Field(8, ge=1, description="Eight outlast ten minutes of outage")
    job_lease_seconds: int = Field(45, ge=3, description="A worker silent for so long counts as dead")
    job_retry_seconds: float = Field(5, gt=0, description="Pause after a first failed attempt; it doubles")
    sweep_seconds: float = Field(30, gt=0, description="How often beat has dropped work looked for")
    worker_threads: int = Field(
        16, ge=1, description="Documents worked on at once by a worker; their passages share the encoder"
    )
    parser_processes: int = Field(2, ge=1, description="Files read at once by a worker, at most")
    watch_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders of this machine that admins may have watched, comma-separated"
    )
    verify_access_hours: float = Field(
        24, ge=0, le=720, description="How often canaries check that nobody sees what they may not; 0: never"
    )
    questions_per_minute: int = Field(
        300, ge=0, description="Of one user, unless an admin says otherwise; 0: any number"
    )
    questions_per_day: int = Field(0, ge=0, description="The same, from midnight UTC on")
    tokens_per_day: int = Field(0, ge=0, description="Of the language model, read and written, for one user")
    searches_per_minute: int = Field(
        0, ge=0, description="Of one user; asking searches, too, and is not counted"
    )
    uploads_per_minute: int = Field(0, ge=0, description="Files that one user may send")
    uploads_per_day: int = Field(0, ge=0, description="The same, from midnight UTC on")
    upload_mb_per_day: int = Field(0, ge=0, description="What these files may measure together")
    streams_at_once: int = Field(32, ge=0, description="Answers written for one user at the same moment")
    conversation_retention_days: int = Field(
        0, ge=0, le=36500, description="Conversations unused for so many days are deleted; 0: never"
    )
    gaps: bool = Field(
        True, description="Questions that were refused or rated down are shown to who keeps the documents"
    )
    followed_at_once: int = Field(50, ge=0, description="Imports, jobs and queues that one user may watch")
    watchdog_seconds: float = Field(
        0,
        ge=0,
        description="Seconds without a heartbeat until a process is started again; 0: never",
    )
    notify_socket: str | None = Field(None, description="Set by systemd: where to report being alive")
    cairn_fault: str = Field("", description="For tests: kill the worker at this point of a job")
    log_level: str = Field("WARNING", description="INFO tells of each job")
    log_format: Literal["plain", "json"] = Field("plain", description="json: an object per line, with ids")
    worker_metrics: str | None = Field(
        None,
        pattern=r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}$",
        description="Address and port at which workers tell Prometheus their figures, such as 0.0.0.0:9100",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="Server that takes OpenTelemetry's traces over HTTP, such as http://otel:4318"
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        None, description="What it wants in the header, such as authorization=Bearer …; comma-separated"
    )
    otel_service_name: str = Field("cairn", description="Name of this install in traces")
    sample_knowledge_base: bool = Field(True, description="Load docs/ as 'Cairn help' at first start")

    @model_validator(mode="after")
    def _check_replicas(self) -> Self:
        if self.qdrant_write_consistency > self.qdrant_replication_factor:
            message = "QDRANT_WRITE_CONSISTENCY must not be more than QDRANT_REPLICATION_FACTOR"
            raise ValueError(message)
        return self

    @property
    def llm_base_urls(self) -> tuple[str, ...]:
        return tuple(filter(None, (url.strip() for url in (self.llm_base_url or "").split(","))))

    @property
    def has_packaged_chat_model(self) -> bool:
        """The small one that comes along answers, since no other is named."""
        return not (self.llm_class or self.llm_base_urls or self.llm_model)

    @property
    def excludes_unofficial(self) -> bool:
        """Questions and searches that name no knowledge base leave unofficial ones out."""
        return self.unofficial_knowledge_bases == "exclude"

    @property
    def rewrites_questions(self) -> bool:
        return self.rewrite_questions == "on" or (
            self.rewrite_questions == "auto" and not self.has_packaged_chat_model
        )

    @field_validator(
        "allowed_hosts",
        "trusted_origins",
        "trusted_proxies",
        "outgoing_allowed_hosts",
        "watch_roots",
        mode="before",
    )
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
    def _known(cls, value: str) -> str:
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
        return init_settings, FileVariantSource(settings_cls), env_settings, dotenv_settings
