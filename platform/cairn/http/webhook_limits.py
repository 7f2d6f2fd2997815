"""Limits of requests that anyone may send to the addresses for webhooks."""

from typing import Final

WEBHOOK_PATH: Final = "/hooks/"
WEBHOOK_BYTES: Final = 1 << 20
