"""Proof to Microsoft Entra that Cairn is the registered app: a secret, or a statement signed with a key."""

import hashlib
import time
import uuid
from base64 import urlsafe_b64encode
from typing import Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cairn.messages import CodedMessage
from ingestion.sources.kinds.sharepoint.options import SharepointOptions
from ingestion.sources.protocol import SourceRefused

_LIFETIME_SECONDS: Final = 300
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def build_token_request(options: SharepointOptions, scope: str) -> dict[str, str]:
    """Return the fields of a form that asks for a token. Raises SourceRefused for an unusable certificate."""
    fields = {"client_id": options.client_id, "scope": scope, "grant_type": "client_credentials"}
    certificate = options.certificate.get_secret_value()
    if not certificate:
        return {**fields, "client_secret": options.client_secret.get_secret_value()}
    audience = f"{options.login_url}{options.tenant}/oauth2/v2.0/token"
    statement = _sign(certificate.encode(), options.client_id, audience)
    return {**fields, "client_assertion_type": _ASSERTION, "client_assertion": statement}


def _sign(pem: bytes, client: str, audience: str) -> str:
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": client,
        "sub": client,
        "jti": str(uuid.uuid4()),
        "nbf": now - _LIFETIME_SECONDS,
        "exp": now + _LIFETIME_SECONDS,
    }
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        thumbprint = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
        named = urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
        load_pem_private_key(pem, password=None)
        return jwt.encode(claims, pem, algorithm="PS256", headers={"x5t#S256": named})
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise SourceRefused(CodedMessage("sharepoint_certificate_invalid")) from error
