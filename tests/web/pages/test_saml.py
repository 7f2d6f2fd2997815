"""Signing in with SAML responses that the test signs as a provider would."""
# ruff: noqa: E501 (lines of XML)

import base64
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from allauth.socialaccount.models import SocialAccount
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.test import Client
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from cairn.accounts.models import SignInFailure, User
from cairn.messages import CodedMessage
from cairn.settings.identity import IdentityProviders, SamlProvider, allauth_settings
from tests.web.pages.conftest import text_of

IDP = "https://idp.example.org/metadata"
ACS = "http://testserver/saml/house/acs"
SP = "http://testserver/saml/house/metadata"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def pair() -> tuple[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, certificate.public_bytes(Encoding.PEM).decode()


KEY, CERTIFICATE = pair()
OTHER_KEY, OTHER_CERTIFICATE = pair()


@pytest.fixture(autouse=True)
def provider(settings: Any, db: None) -> None:
    found = SamlProvider(
        id="house",
        name="House",
        entity_id=IDP,
        sso_url="https://idp.example.org/sso",
        certificate=CERTIFICATE,
    )
    settings.IDENTITY_PROVIDERS = IdentityProviders(saml=(found,))
    settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(settings.IDENTITY_PROVIDERS)


def request_id(client: Client, query: str = "") -> str:
    response = client.get(f"/saml/house/login{query}")
    assert response.status_code == 302
    sent = parse_qs(urlsplit(response["Location"]).query)["SAMLRequest"][0]
    return ElementTree.fromstring(zlib.decompress(base64.b64decode(sent), -15)).attrib["ID"]


def at(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def assertion(
    asked: str,
    *,
    subject: str = "subject-1",
    audience: str = SP,
    ends: float = 5,
    recipient: str = ACS,
    groups: tuple[str, ...] = ("Finance",),
    key: str = KEY,
    certificate: str = CERTIFICATE,
    name_format: str = PERSISTENT,
    assertion_id: str = "",
) -> str:
    values = "".join(f"<saml:AttributeValue>{name}</saml:AttributeValue>" for name in groups)
    text = f"""<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{assertion_id or f"_{uuid4()}"}"
 Version="2.0" IssueInstant="{at(0)}"><saml:Issuer>{IDP}</saml:Issuer><saml:Subject>
<saml:NameID Format="{name_format}">{subject}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData
 InResponseTo="{asked}" NotOnOrAfter="{at(ends)}" Recipient="{recipient}"/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{at(-10)}" NotOnOrAfter="{at(ends)}"><saml:AudienceRestriction>
<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="{at(0)}"><saml:AuthnContext><saml:AuthnContextClassRef>
urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>
<saml:AttributeStatement><saml:Attribute Name="username"><saml:AttributeValue>rob</saml:AttributeValue>
</saml:Attribute><saml:Attribute Name="groups">{values}</saml:Attribute></saml:AttributeStatement></saml:Assertion>"""
    signed = OneLogin_Saml2_Utils.add_sign(text, key, certificate)
    return signed.decode() if isinstance(signed, bytes) else str(signed)


def wrapped(asked: str, assertion_xml: str) -> str:
    text = f"""<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_{uuid4()}" Version="2.0"
 IssueInstant="{at(0)}" Destination="{ACS}" InResponseTo="{asked}">
<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">{IDP}</saml:Issuer><samlp:Status>
<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{assertion_xml}</samlp:Response>"""
    return base64.b64encode(text.encode()).decode()


def post(client: Client, response: str) -> Any:
    answer = client.post("/saml/house/acs", {"SAMLResponse": response})
    assert answer["Location"] == "/saml/house/acs/finish"
    return client.get(answer["Location"])


def sign_in(client: Client, query: str = "", **changes: Any) -> Any:
    asked = request_id(client, query)
    return post(client, wrapped(asked, assertion(asked, **changes)))


def is_refused(response: Any, client: Client) -> bool:
    return response.status_code == 403 and client.get("/").status_code == 302 and not User.objects.exists()


def test_saml_user_signs_in_with_groups() -> None:
    client = Client()
    assert "Sign in with House" in text_of(client.get("/login"))
    assert sign_in(client, "?next=/library")["Location"] == "/library"
    user = User.objects.get(username="rob")
    assert set(user.member_of.values_list("source", "name")) == {("saml:house", "Finance")}
    account = SocialAccount.objects.get()
    assert (account.provider, account.uid, account.extra_data) == ("saml:house", "subject-1", {})
    assert sign_in(Client(), groups=("Travel",)).status_code == 302
    assert set(user.member_of.values_list("source", "name")) == {("saml:house", "Travel")}


def test_saml_sign_in_does_not_take_over_a_local_account(make_user: Callable[..., User]) -> None:
    rob = make_user("rob", is_admin=True)
    sign_in(Client())
    account = SocialAccount.objects.get()
    assert (account.user.username, account.user.is_admin) == ("rob.house", False)
    assert account.user != rob


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"key": OTHER_KEY, "certificate": OTHER_CERTIFICATE}, "sign_in_signature"),
        ({"key": OTHER_KEY}, "sign_in_signature"),
        ({"audience": "https://other.example.org"}, "sign_in_audience"),
        ({"ends": -5}, "sign_in_time"),
        ({"recipient": "http://other.example.org/acs"}, "sign_in_invalid"),
        ({"name_format": TRANSIENT}, "sign_in_invalid"),
        ({"subject": ""}, "sign_in_invalid"),
    ],
    ids=[
        "another signer",
        "another key",
        "another audience",
        "expired",
        "another recipient",
        "transient",
        "nobody",
    ],
)
def test_invalid_saml_response_is_rejected_with_its_cause(changes: dict[str, Any], cause: str) -> None:
    client = Client()
    assert is_refused(sign_in(client, **changes), client)
    (failure,) = SignInFailure.objects.all()
    assert isinstance(failure.cause, CodedMessage)
    assert (failure.source, failure.cause.code) == ("saml:house", cause)


def test_changed_response_is_rejected() -> None:
    client = Client()
    asked = request_id(client)
    changed = assertion(asked).replace("subject-1", "subject-2")
    assert is_refused(post(client, wrapped(asked, changed)), client)


def test_unsigned_response_is_rejected() -> None:
    client = Client()
    asked = request_id(client)
    signed = assertion(asked)
    start, end = signed.index("<ds:Signature"), signed.index("</ds:Signature>") + len("</ds:Signature>")
    assert is_refused(post(client, wrapped(asked, signed[:start] + signed[end:])), client)


def test_saml_response_works_once_and_only_in_its_session() -> None:
    client, other = Client(), Client()
    asked = request_id(client)
    response = wrapped(asked, assertion(asked))
    request_id(other)
    assert is_refused(post(other, response), other)
    assert is_refused(post(client, response), client)
    signed = assertion(asked := request_id(client), assertion_id="_once")
    assert post(client, wrapped(asked, signed)).status_code == 302
    client.post("/logout")
    assert post(client, wrapped(asked, signed)).status_code == 403
    again = request_id(client)
    assert post(client, wrapped(again, assertion(again, assertion_id="_once"))).status_code == 403
    assert client.get("/").status_code == 302


def test_unsolicited_saml_response_is_rejected() -> None:
    client = Client()
    unsolicited = assertion("").replace('InResponseTo=""', "")
    response = base64.b64decode(wrapped("", unsolicited)).decode().replace(' InResponseTo=""', "")
    assert is_refused(post(client, base64.b64encode(response.encode()).decode()), client)


@pytest.mark.parametrize("sent", ["", "nonsense", base64.b64encode(b"<x/>").decode(), "%00", "é"])
def test_nonsense_is_refused(sent: str) -> None:
    client = Client()
    request_id(client)
    assert is_refused(post(client, sent), client)
    assert client.get("/saml/house/acs/finish").status_code == 403


def test_anonymous_saml_session_data_is_small() -> None:
    client = Client()
    assert client.post("/saml/house/acs", {"SAMLResponse": "A" * 300_000}).status_code == 413
    cookie = client.post("/saml/house/acs", {"SAMLResponse": "A"}).cookies["saml-acs-session"]
    assert cookie["httponly"]


def test_saml_metadata_contain_the_acs_address() -> None:
    response = Client().get("/saml/house/metadata")
    assert response.status_code == 200
    assert ACS in text_of(response)
    assert Client().get("/saml/nobody/metadata").status_code == 404


def test_unsigned_saml_logout_is_ignored(
    signed_in: Callable[[User], Client], rob: User, settings: Any
) -> None:
    client = signed_in(rob)
    assert client.get("/saml/house/logout?SAMLRequest=x&Signature=x").status_code == 404
    [found] = settings.IDENTITY_PROVIDERS.saml
    ending = found.model_copy(update={"slo_url": "https://idp.example.org/slo"})
    settings.IDENTITY_PROVIDERS = IdentityProviders(saml=(ending,))
    settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(settings.IDENTITY_PROVIDERS)
    assert client.get("/saml/house/logout?SAMLRequest=x").status_code == 404
    assert client.get("/").status_code == 200
