"""Signatures of webhooks from GitHub and GitLab."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from ingestion.sources.protocol import Webhook


def _has_github_signature(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    expected = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
    return _is_equal(headers.get("X-Hub-Signature-256", ""), expected)


def _has_gitlab_token(headers: Mapping[str, str], _body: bytes, secret: str) -> bool:
    return _is_equal(headers.get("X-Gitlab-Token", ""), secret)


def _is_equal(sent: str, expected: str) -> bool:
    return hmac.compare_digest(sent.encode(errors="replace"), expected.encode())


GITHUB_WEBHOOK: Final = Webhook(
    is_authentic=_has_github_signature,
    event_header="X-GitHub-Event",
    access_events=frozenset(
        ("member", "membership", "organization", "public", "repository", "team", "team_add")
    ),
)
GITLAB_WEBHOOK: Final = Webhook(
    is_authentic=_has_gitlab_token,
    event_header="X-Gitlab-Event",
    access_events=frozenset(("Member Hook", "Project Hook", "Subgroup Hook", "System Hook")),
)
