"""Forged, wrapped, replayed and expired SAML responses. The genuine one has to sign in each time."""

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from cairn.accounts.models import User
from cairn.settings.identity import IdentityProviders, allauth_settings
from tests.web.pages.test_saml import (
    ACS,
    CERTIFICATE,
    IDP,
    KEY,
    OTHER_CERTIFICATE,
    OTHER_KEY,
    TRANSIENT,
    assertion,
    post,
    provider,
    request_id,
    wrapped,
)
from tests.web.security.attacks.recorder import Attack

__all__ = ["provider"]

VICTIM, ATTACKER = "subject-of-the-admin", "subject-1"
NAMES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
Forge = Callable[[str], str]


def signs_in(client: Client, response: str) -> bool:
    post(client, response)
    return bool(client.get("/api/v1/me").status_code == 200)


def genuine(asked: str, **changes: Any) -> str:
    return wrapped(asked, assertion(asked, **changes))


def forged_fails(attack: Attack, forge: Forge) -> None:
    """The forged response is rejected, and the genuine one is accepted."""
    client = Client()
    attack.refused(not signs_in(client, forge(request_id(client))))
    attack.refused(not User.objects.exists(), "no account is made for it either")
    honest = Client()
    attack.allowed(signs_in(honest, genuine(request_id(honest))))


# What does not fit ----------------------------------------------------------------------------------------


def with_text(find: str, replacement: str) -> Forge:
    """Change text of the response around the signed assertion."""

    def forge(asked: str) -> str:
        text = base64.b64decode(genuine(asked)).decode()
        assert find in text
        return base64.b64encode(text.replace(find, replacement).encode()).decode()

    return forge


def within(find: str, replacement: str) -> Forge:
    """Within the assertion, after it was signed."""

    def forge(asked: str) -> str:
        signed = assertion(asked)
        assert find in signed
        return wrapped(asked, signed.replace(find, replacement))

    return forge


def saying(**changes: Any) -> Forge:
    return lambda asked: genuine(asked, **changes)


def unsigned(asked: str) -> str:
    tree = etree.fromstring(assertion(asked))
    tree.remove(tree.find("ds:Signature", NAMES))
    return wrapped(asked, etree.tostring(tree).decode())


def empty_signature(asked: str) -> str:
    tree = etree.fromstring(assertion(asked))
    tree.find("ds:Signature/ds:SignatureValue", NAMES).text = ""
    return wrapped(asked, etree.tostring(tree).decode())


def another_digest(asked: str) -> str:
    tree = etree.fromstring(assertion(asked, subject=VICTIM))
    tree.find(".//ds:DigestValue", NAMES).text = base64.b64encode(b"0" * 32).decode()
    return wrapped(asked, etree.tostring(tree).decode())


def embedded_certificate(asked: str) -> str:
    """Sign with a foreign key whose certificate is embedded."""
    return genuine(asked, key=OTHER_KEY, certificate=OTHER_CERTIFICATE)


def only_response_signed(key: str, certificate: str) -> Forge:
    """The assertion is not signed, the response around it is: by a stranger."""

    def forge(asked: str) -> str:
        text = base64.b64decode(unsigned(asked)).decode()
        signed = OneLogin_Saml2_Utils.add_sign(text, key, certificate)
        return base64.b64encode(signed if isinstance(signed, bytes) else signed.encode()).decode()

    return forge


def signed_again(asked: str, change: Callable[[Any], None]) -> str:
    """Changed by the provider itself: everything about the signature is right."""
    tree = etree.fromstring(assertion(asked))
    tree.remove(tree.find("ds:Signature", NAMES))
    change(tree)
    signed = OneLogin_Saml2_Utils.add_sign(etree.tostring(tree).decode(), KEY, CERTIFICATE)
    return wrapped(asked, signed.decode() if isinstance(signed, bytes) else signed)


def without_audiences(asked: str) -> str:
    def change(tree: Any) -> None:
        conditions = tree.find("saml:Conditions", NAMES)
        conditions.remove(conditions.find("saml:AudienceRestriction", NAMES))

    return signed_again(asked, change)


def sha1(asked: str) -> str:
    algorithms = "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1"
    element = etree.fromstring(assertion(asked))
    element.remove(element.find("ds:Signature", NAMES))
    signed = OneLogin_Saml2_Utils.add_sign(
        etree.tostring(element).decode(), KEY, CERTIFICATE, False, *algorithms
    )
    return wrapped(asked, signed.decode() if isinstance(signed, bytes) else signed)


def entity(asked: str) -> str:
    text = base64.b64decode(genuine(asked)).decode()
    text = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{text}'.replace("Success", "Success&e;")
    return base64.b64encode(text.encode()).decode()


ELSEWHERE = "http://other.example.org/acs"
UNFIT: dict[str, Forge] = {
    "unsigned": unsigned,
    "an empty signature": empty_signature,
    "another digest": another_digest,
    "another key": saying(key=OTHER_KEY),
    "another provider's key, with its certificate": embedded_certificate,
    "the response signed by a stranger": only_response_signed(OTHER_KEY, OTHER_CERTIFICATE),
    "SHA-1": sha1,
    "expired": saying(ends=-5),
    "another audience": saying(audience="https://other.example.org"),
    "no audience": saying(audience=""),
    "another recipient": saying(recipient=ELSEWHERE),
    "another destination": with_text(f'Destination="{ACS}"', f'Destination="{ELSEWHERE}"'),
    "an empty destination": with_text(f'Destination="{ACS}"', 'Destination=""'),
    "another status": with_text("status:Success", "status:Requester"),
    "without audiences": without_audiences,
    "another version": with_text('Version="2.0"\n IssueInstant', 'Version="1.1"\n IssueInstant'),
    "another issuer of the response": with_text(f'assertion">{IDP}<', 'assertion">https://evil.example<'),
    "a subject changed": within(ATTACKER, VICTIM),
    "a group changed": within("Finance", "Admins"),
    "an audience changed": within("/saml/house/metadata", "/saml/other/metadata"),
    "a time limit renamed": within("NotOnOrAfter=", "Unlimited="),
    "for nobody": saying(subject=""),
    "a name for one session": saying(name_format=TRANSIENT),
    "a name that is too long": saying(subject="s" * 200),
    "an external entity": entity,
    "not asked for": lambda _: genuine("_made-up"),
    "asked for by nobody": lambda asked: wrapped("_made-up", assertion(asked)),
    "no XML": lambda _: base64.b64encode(b"no XML").decode(),
}


@pytest.mark.parametrize("forge", UNFIT.values(), ids=UNFIT.keys())
def test_forged_saml_response_signs_nobody_in(attack: Attack, forge: Forge) -> None:
    forged_fails(attack, forge)


# Signature wrapping ---------------------------------------------------------------------------------------


def evil_of(original: Any, *, same_id: bool = False) -> Any:
    """A copy that speaks of the victim, without a signature of its own."""
    evil = deepcopy(original)
    evil.remove(evil.find("ds:Signature", NAMES))
    evil.find("saml:Subject/saml:NameID", NAMES).text = VICTIM
    if not same_id:
        evil.set("ID", "_evil")
    return evil


def before(response: Any, original: Any) -> None:
    original.addprevious(evil_of(original))


def after(response: Any, original: Any) -> None:
    original.addnext(evil_of(original))


def same_id(response: Any, original: Any) -> None:
    original.addprevious(evil_of(original, same_id=True))


def original_within(response: Any, original: Any) -> None:
    evil = evil_of(original)
    response.replace(original, evil)
    evil.append(original)


def signature_taken_along(response: Any, original: Any) -> None:
    evil, signature = evil_of(original), original.find("ds:Signature", NAMES)
    original.addprevious(evil)
    evil.insert(1, signature)


def original_within_signature(response: Any, original: Any) -> None:
    evil, signature = evil_of(original), original.find("ds:Signature", NAMES)
    response.replace(original, evil)
    evil.insert(1, signature)
    signature.append(original)


def original_within_object(response: Any, original: Any) -> None:
    evil, signature = evil_of(original), original.find("ds:Signature", NAMES)
    response.replace(original, evil)
    evil.insert(1, signature)
    etree.SubElement(signature, f"{{{NAMES['ds']}}}Object").append(original)


def evil_within_extensions(response: Any, original: Any) -> None:
    extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
    extensions.append(evil_of(original))
    response.insert(1, extensions)


def original_within_extensions(response: Any, original: Any) -> None:
    evil = evil_of(original)
    response.replace(original, evil)
    extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
    extensions.append(original)
    response.insert(1, extensions)


def reference_to_nothing(response: Any, original: Any) -> None:
    original.find(".//ds:Reference", NAMES).set("URI", "")
    original.find("saml:Subject/saml:NameID", NAMES).text = VICTIM


WRAPPINGS = (
    before, after, same_id, original_within, signature_taken_along, original_within_signature,
    original_within_object, evil_within_extensions, original_within_extensions, reference_to_nothing,
)  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPINGS, ids=lambda each: each.__name__)
def test_saml_signature_wrapping_is_rejected(attack: Attack, wrap: Any) -> None:
    client = Client()
    response = etree.fromstring(base64.b64decode(genuine(request_id(client))))
    wrap(response, response.find("saml:Assertion", NAMES))
    came_in = signs_in(client, base64.b64encode(etree.tostring(response)).decode())
    subjects = set(SocialAccount.objects.values_list("uid", flat=True))
    attack.refused(VICTIM not in subjects)
    attack.refused(not came_in or subjects == {ATTACKER})
    honest = Client()
    attack.allowed(signs_in(honest, genuine(request_id(honest))))


@pytest.mark.parametrize("comment", ["<!---->", "<!-- a -->", "<?a b?>", "<![CDATA[]]>"])
def test_xml_comment_does_not_truncate_a_name(attack: Attack, comment: str) -> None:
    """Canonicalisation drops comments, so that the signature stays valid: the whole name must count."""
    client, whole = Client(), f"{VICTIM}.evil.example"
    asked = request_id(client)
    signed = assertion(asked, subject=whole).replace(whole, f"{VICTIM}{comment}.evil.example")
    signs_in(client, wrapped(asked, signed))
    subjects = set(SocialAccount.objects.values_list("uid", flat=True))
    attack.refused(subjects <= {whole}, subjects)
    honest = Client()
    attack.allowed(signs_in(honest, genuine(request_id(honest))))


# Replayed and swapped -------------------------------------------------------------------------------------


def test_saml_response_works_once(attack: Attack) -> None:
    client = Client()
    response = genuine(request_id(client))
    attack.allowed(signs_in(client, response))
    client.post("/logout")
    attack.refused(not signs_in(client, response))
    attack.refused(not signs_in(Client(), response))


def test_saml_assertion_works_once_in_any_response(attack: Attack) -> None:
    client = Client()
    attack.allowed(signs_in(client, genuine(request_id(client), assertion_id="_once")))
    other = Client()
    attack.refused(not signs_in(other, genuine(request_id(other), assertion_id="_once")))


@pytest.mark.parametrize("around", ["victim", "attacker"])
def test_assertion_for_another_persons_request_is_rejected(attack: Attack, around: str) -> None:
    """The attacker's browser brings the victim's assertion, in a response that names either request."""
    victim, attacker = Client(), Client()
    asked = {"victim": request_id(victim), "attacker": request_id(attacker)}
    signed = assertion(asked["victim"])
    attack.refused(not signs_in(attacker, wrapped(asked[around], signed)))
    attack.allowed(signs_in(victim, genuine(asked["victim"])))


def test_assertion_for_another_installation_is_rejected(attack: Attack) -> None:
    """Genuine in everything, but made for a program next door that trusts the same provider."""
    forged_fails(
        attack, saying(audience="http://next-door/saml/house/metadata", recipient="http://next-door/acs")
    )


# Where the provider signs the whole response --------------------------------------------------------------


@pytest.fixture
def whole_response_signed(settings: Any) -> None:
    [found] = settings.IDENTITY_PROVIDERS.saml
    settings.IDENTITY_PROVIDERS = IdentityProviders(saml=(found.model_copy(update={"signed": "response"}),))
    settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(settings.IDENTITY_PROVIDERS)


def signed_whole(asked: str) -> Any:
    text = base64.b64decode(unsigned(asked)).decode()
    signed = OneLogin_Saml2_Utils.add_sign(text, KEY, CERTIFICATE)
    return etree.fromstring(signed if isinstance(signed, bytes) else signed.encode())


def sent_as(response: Any) -> str:
    return base64.b64encode(etree.tostring(response)).decode()


def subject_changed(response: Any) -> Any:
    response.find("saml:Assertion/saml:Subject/saml:NameID", NAMES).text = VICTIM
    return response


def assertion_added(response: Any) -> Any:
    evil = deepcopy(response.find("saml:Assertion", NAMES))
    evil.find("saml:Subject/saml:NameID", NAMES).text = VICTIM
    evil.set("ID", "_evil")
    response.find("saml:Assertion", NAMES).addprevious(evil)
    return response


def _evil_response(response: Any) -> Any:
    evil = subject_changed(deepcopy(response))
    evil.set("ID", "_evil")
    return evil


def original_in_signature(response: Any) -> Any:
    evil = _evil_response(response)
    evil.find("ds:Signature", NAMES).append(response)
    return evil


def original_beside_signature(response: Any) -> Any:
    evil = _evil_response(response)
    evil.find("ds:Signature", NAMES).addnext(response)
    return evil


def signature_removed(response: Any) -> Any:
    response.remove(response.find("ds:Signature", NAMES))
    return response


@pytest.mark.parametrize(
    "change",
    [subject_changed, assertion_added, original_in_signature, original_beside_signature, signature_removed],
    ids=lambda each: each.__name__,
)
def test_signed_response_cannot_be_changed_or_wrapped(
    attack: Attack, whole_response_signed: None, change: Any
) -> None:
    client = Client()
    attack.refused(not signs_in(client, sent_as(change(signed_whole(request_id(client))))))
    attack.refused(not User.objects.exists())
    honest = Client()
    attack.allowed(signs_in(honest, sent_as(signed_whole(request_id(honest)))))
