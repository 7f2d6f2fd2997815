"""Django's settings, derived from the environment."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF

from cairn.errors import ConfigurationError
from cairn.settings import ROOT, environment
from cairn.settings.file_permissions import make_private
from cairn.settings.generated_secrets import load_or_create_secret
from cairn.settings.identity import allauth_settings, identity_providers
from cairn.settings.ldap import ldap_settings
from cairn.settings.storage import storage_settings

_env = environment()
DATA_DIR = _env.data_dir
_POOL = {
    "min_size": 1,
    "max_size": _env.database_pool_size,
    "timeout": _env.database_pool_seconds,
    "max_idle": 60,
}
"""Of one process: its requests, jobs and heartbeats at once. By default four, and the fifth would wait."""


def _database(url: str | None) -> dict[str, Any]:
    if url is None or url.startswith("sqlite:"):
        path = (url or "").removeprefix("sqlite:///") or str(DATA_DIR / "cairn.sqlite3")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                # Deleted data is overwritten: an erased document must not remain in free pages of the file.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ConfigurationError(
            f"DATABASE_URL must start with postgres:// or sqlite:///, not {parts.scheme}:"
        )
    return {
        "ENGINE": "cairn.postgres",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": {"pool": _POOL, **dict(parse_qsl(parts.query))},
    }


DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
SECRET_KEY = (
    _env.secret_key.get_secret_value()
    if _env.secret_key
    else load_or_create_secret(DATA_DIR / "secret_key")[0]
)
DEBUG = _env.cairn_debug
ALLOWED_HOSTS = list(_env.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(_env.trusted_origins)
DATABASES = {"default": _database(_env.database_url)}
SQLITE_FILE = (
    Path(DATABASES["default"]["NAME"]) if DATABASES["default"]["ENGINE"].endswith("sqlite3") else None
)
make_private(DATA_DIR, SQLITE_FILE)
CACHES = {
    "default": {
        "BACKEND": "cairn.cache.backend.JsonDatabaseCache",
    }
}
"""Counts sign-in attempts and remembers used codes, which all processes must share."""
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "web",  # the first one's translations win where several apps have the same text
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "ninja",
    "cairn.cache",
    "cairn.settings.stored",
    "cairn.accounts",
    "cairn.audit",
    "cairn.library",
    "cairn.access",
    "cairn.limits",
    "retrieval",
    "retrieval.assistants",
    "retrieval.conversations.usage_policy",
    "retrieval.evaluation",
    "retrieval.statistics",
    "retrieval.gaps",
    "retrieval.suggestions",
    "ingestion",
    "web.identity",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
]
MIDDLEWARE = [
    "web.http.middleware.EverywhereMiddleware",
    "web.http.static_files.StaticFilesMiddleware",
    "web.http.middleware.ViewsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "web.urls"
ASGI_APPLICATION = "cairn.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LDAP = ldap_settings(_env)
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    *(["cairn.accounts.ldap.backend.LdapBackend"] if LDAP else []),
]
ACCOUNT_ADAPTER = "web.identity.adapters.AccountAdapter"
IDENTITY_PROVIDERS = identity_providers(_env.identity_providers)
SOCIALACCOUNT_ADAPTER = "web.identity.adapters.SocialAdapter"
SOCIALACCOUNT_PROVIDERS = allauth_settings(IDENTITY_PROVIDERS)
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
# A form may post to this origin only, also by way of redirects (see form-action): links lead away.
SOCIALACCOUNT_LOGIN_ON_GET = True
ACCOUNT_FORMS = {"login": "web.identity.forms.SignInForm"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {
    "login": None,  # see web.identity.sign_in_throttling, which no one can use to lock somebody else out
    "federated": "120/m/ip",
    "login_failed": None,  # nor this one, which second factors would share
}
MFA_ADAPTER = "web.identity.adapters.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "web.identity.forms.CodeStepForm",
    "reauthenticate": "web.identity.forms.CodeConfirmForm",
    "add_webauthn": "web.identity.forms.PasskeyAddForm",
    "authenticate_webauthn": "web.identity.forms.PasskeyStepForm",
    "login_webauthn": "web.identity.forms.PasskeySignInForm",
    "reauthenticate_webauthn": "web.identity.forms.PasskeyConfirmForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "Cairn"
REQUIRE_MFA = _env.require_mfa
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login"

# Two installs on one host must not overwrite each other's cookies: browsers share cookies between ports.
_install = hashlib.sha256(SECRET_KEY.encode()).hexdigest()[:8]
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
SESSION_COOKIE_NAME = f"cairn_session_{_install}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = f"cairn_csrf_{_install}"
_behind_tls = any(origin.startswith("https://") for origin in _env.trusted_origins)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _behind_tls
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _behind_tls else 0
SILENCED_SYSTEM_CHECKS = [
    # This looks for the layers of Django that web.http.middleware consists of. A test uses those instead,
    # since other checks depend on it.
    "security.W001",
    "security.W002",  # the same
    "security.W003",  # the same
    "security.W005",  # what other hosts of the domain do is not Cairn's to decide
    "security.W008",  # the proxy redirects; commands on this machine talk to Cairn without TLS
    "security.W021",  # the same
]
# Browsers offer passkeys without TLS on localhost only; allauth knows no such exception.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _behind_tls
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
    }
}

LANGUAGE_CODE = "en"  # of commands, workers and what is stored; pages: web.i18n.languages
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
DEVICE_COOKIE_NAME = f"cairn_device_{_install}"
LANGUAGE_COOKIE_NAME = f"cairn_language_{_install}"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
FORMAT_MODULE_PATH = ["web.i18n.formats"]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
SERVESTATIC_USE_FINDERS = True
MEDIA_ROOT = DATA_DIR / "files"
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR / "tmp")
(DATA_DIR / "tmp").mkdir(exist_ok=True)
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 << 20
STORAGES = {
    "default": storage_settings(_env, folder=MEDIA_ROOT),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

CELERY_BROKER_URL = _env.celery_broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {
    name: {} for name in ("interactive", "bulk", "maintenance", "watches", "model_tests")
}
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_BEAT_SCHEDULE = {
    "wake": {"task": "ingestion.wake", "schedule": min(5.0, _env.sweep_seconds)},
    "sweep": {"task": "ingestion.sweep", "schedule": _env.sweep_seconds},
    "watch": {"task": "ingestion.watch_due", "schedule": 30.0},
    "sources": {
        "task": "ingestion.sources_due",
        "schedule": min(30.0, _env.sweep_seconds),
        "options": {"queue": "watches"},
    },
    "seal": {"task": "audit.seal", "schedule": 5.0},
    "apply-retention": {"task": "ingestion.apply_retention", "schedule": 600.0},
    "purge": {"task": "ingestion.purge_conversations", "schedule": 60.0},
    "verify": {"task": "web.verify_access_due", "schedule": 600.0},
    "shadow-runs": {
        "task": "web.shadow_runs",
        "schedule": 60.0,
        "options": {"queue": "model_tests", "expires": 60.0},  # a red team may take hours
    },
    "red-team": {"task": "web.red_team_tidy", "schedule": 600.0},
    "gaps-group": {"task": "gaps.group", "schedule": min(10.0, _env.sweep_seconds)},
    "notify-askers": {
        "task": "ingestion.notify_askers",
        "schedule": min(10.0, _env.sweep_seconds),
        "options": {"queue": "watches"},
    },
    "retry-gaps": {"task": "ingestion.retry_gaps", "schedule": 60.0, "options": {"queue": "watches"}},
    "expire": {"task": "ingestion.expire", "schedule": 600.0},
    "answers": {"task": "web.answers_interrupt", "schedule": 60.0},
    "password-mails": {
        "task": "web.send_password_mails",
        "schedule": _env.sweep_seconds,
        "options": {"queue": "watches"},
    },
    "usage": {"task": "web.usage_tidy", "schedule": 3600.0},
    "cache": {"task": "web.cache_tidy", "schedule": 600.0},
}
# Redis hands a message out again when it has not been acknowledged for so long. It must exceed the longest
# job; but a message is only a wake-up, so twice does no harm. For the same reason a message whose worker
# died (task_reject_on_worker_lost) is not handed out again: the job is, with its attempts counted.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "max_retries": 0,  # an upload does not wait for a broker that is away: the sweeper sends again
    **({"visibility_timeout": 6 * 3600} if _env.celery_broker_url.startswith(("redis", "valkey")) else {}),
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "cairn.telemetry.logs.JsonFormatter"},
    },
    "filters": {"client_errors": {"()": "cairn.telemetry.logs.ClientErrorFilter"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": _env.log_format,
            "filters": ["client_errors"],
        }
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{name: {"level": _env.log_level} for name in ("cairn", "retrieval", "ingestion", "web")},
        "paramiko": {"level": "CRITICAL"},  # what it logs is also raised
        "mcp": {"level": "ERROR"},  # its warnings contain request data
        "psycopg.pool": {"level": "ERROR"},  # its users report that the database is unavailable
    },
}
NINJA_PAGINATION_MAX_LIMIT = 200
__all__ = ["ROOT"]
