"""Serialise mails embedded in Outlook mails as files of their own."""

from email.encoders import encode_base64
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from hashlib import sha256

from ingestion.parse.mail.parts import Body, Mail


def serialize(mail: Mail) -> bytes:
    """Return deterministic bytes for the mail. Raises DocumentRejected if an attachment is unreadable."""
    parts = [*map(_body, mail.bodies), *(_file(part.name, part.read()) for part in mail.attachments)]
    whole = _join_parts("mixed", parts)
    for name, line in mail.head.items():
        whole[name] = line if line.isascii() else Header(line, "utf-8").encode()
    return whole.as_bytes()


def _body(body: Body) -> "Message[str, str]":
    if not body.is_html:
        return MIMEText(body.text, "plain", "utf-8")
    rich = MIMEText(body.text, "html", "utf-8")
    return _join_parts("alternative", [MIMEText(body.plain, "plain", "utf-8"), rich]) if body.plain else rich


def _file(name: str, content: bytes) -> "Message[str, str]":
    part = MIMEBase("application", "octet-stream")
    part.set_payload(content)
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
    return part


def _join_parts(kind: str, parts: "list[Message[str, str]]") -> "Message[str, str]":
    """Join the parts with a boundary from their content; base64 contains no underscore."""
    digest = sha256(b"\0".join(part.as_bytes() for part in parts)).hexdigest()
    return MIMEMultipart(kind, boundary=f"_{digest}", _subparts=parts)
