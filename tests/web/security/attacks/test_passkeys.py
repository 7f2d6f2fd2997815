"""Passkeys: signatures for another site, another challenge, another person, or by a clone. The authenticator
is software of the test's own, so that it can lie; the honest one has to sign in each time."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from allauth.mfa.models import Authenticator as Passkey
from allauth.mfa.webauthn.internal.auth import WebAuthn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.test import Client
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from cairn.accounts.models import User
from cairn.accounts.services import user_create
from tests.conftest import PASSWORD
from tests.web.security.attacks.recorder import Attack

SITE, ORIGIN = "testserver", "http://testserver"
PRESENT, VERIFIED = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV
ADDING = "/account/second-factor/passkeys/new"


@dataclass
class Authenticator:
    """Has one key. Its statements can be changed by keyword."""

    user: User
    credential_id: bytes
    counter: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def registration(self, challenge: bytes, *, origin: str = ORIGIN, site: str = SITE) -> dict[str, Any]:
        public = ES256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(b"\0" * 16, self.credential_id, public)
        flags = PRESENT | VERIFIED | AuthenticatorData.FLAG.AT
        data = AuthenticatorData.create(sha256(site.encode()), flags, self.counter, attested)
        client = CollectedClientData.create("webauthn.create", challenge, origin)
        attestation = AttestationObject.create("none", data, {})
        return {
            **self._named(),
            "response": {
                "clientDataJSON": websafe_encode(client),
                "attestationObject": websafe_encode(attestation),
            },
            "clientExtensionResults": {"credProps": {"rk": True}},
        }

    def assertion(
        self,
        challenge: bytes,
        *,
        origin: str = ORIGIN,
        site: str = SITE,
        kind: str = "webauthn.get",
        flags: Any = PRESENT | VERIFIED,
        user: User | None = None,
        counter: int | None = None,
        signed_by: ec.EllipticCurvePrivateKey | None = None,
        cross_origin: bool = False,
    ) -> dict[str, Any]:
        self.counter += 1
        count = self.counter if counter is None else counter
        data = AuthenticatorData.create(sha256(site.encode()), flags, count)
        client = CollectedClientData.create(kind, challenge, origin, cross_origin=cross_origin)
        signature = (signed_by or self.key).sign(data + client.hash, ec.ECDSA(SHA256()))
        return {
            **self._named(),
            "response": {
                "clientDataJSON": websafe_encode(client),
                "authenticatorData": websafe_encode(data),
                "signature": websafe_encode(signature),
                "userHandle": websafe_encode(str((user or self.user).pk).encode()),
            },
            "clientExtensionResults": {},
        }

    def _named(self) -> dict[str, Any]:
        name = websafe_encode(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "authenticatorAttachment": "platform"}


def owned_by(user: User, credential_id: bytes) -> Authenticator:
    """Registered, as the page for it does."""
    authenticator = Authenticator(user, credential_id)
    WebAuthn.add(user, "Laptop", authenticator.registration(b"at registration"))
    return authenticator


@pytest.fixture
def rob_passkey(db: None) -> Authenticator:
    return owned_by(user_create(username="rob", password=PASSWORD), b"of rob")


@pytest.fixture
def admin_passkey(db: None) -> Authenticator:
    return owned_by(user_create(username="ada", password=PASSWORD, is_admin=True), b"of ada")


def challenge(client: Client) -> bytes:
    options = client.get("/login/passkey", headers={"Accept": "application/json"}).json()
    return websafe_decode(options["request_options"]["publicKey"]["challenge"])


def enters(client: Client, credential: Any) -> str:
    """Return who is signed in afterwards; "" for nobody."""
    client.post("/login/passkey", {"credential": json.dumps(credential)})
    answer = client.get("/api/v1/me")
    return str(answer.json()["username"]) if answer.status_code == 200 else ""


def honest_enters(passkey: Authenticator) -> bool:
    client = Client()
    return enters(client, passkey.assertion(challenge(client))) == passkey.user.username


LIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://evil.example"},
    "a subdomain of another": {"origin": "http://testserver.evil.example"},
    "a subdomain of this": {"origin": "http://evil.testserver"},
    "another scheme": {"origin": "https://testserver"},
    "another port": {"origin": "http://testserver:8001"},
    "no origin": {"origin": ""},
    "another site": {"site": "evil.example"},
    "the ceremony of registering": {"kind": "webauthn.create"},
    "nobody was present": {"flags": AuthenticatorData.FLAG(0)},
    "nobody was verified": {"flags": PRESENT},
    "another key": {"signed_by": ec.generate_private_key(ec.SECP256R1())},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_forged_passkey_assertion_is_rejected(
    attack: Attack, rob_passkey: Authenticator, lie: dict[str, Any]
) -> None:
    client = Client()
    attack.refused(enters(client, rob_passkey.assertion(challenge(client), **lie)) == "")
    attack.allowed(honest_enters(rob_passkey))


def cut(credential: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {**credential, "response": {**credential["response"], name: value}}


CHANGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no signature": lambda credential: cut(credential, "signature", ""),
    "a signature of zeros": lambda credential: cut(credential, "signature", websafe_encode(b"\0" * 70)),
    "an empty credential": lambda _: {},
    "the id of no credential": lambda credential: {
        **credential,
        "id": websafe_encode(b"x"),
        "rawId": websafe_encode(b"x"),
    },
    "no user": lambda credential: cut(credential, "userHandle", ""),
    "nobody's id for a user": lambda credential: cut(credential, "userHandle", websafe_encode(b"0" * 32)),
    "nothing said by the client": lambda credential: cut(credential, "clientDataJSON", websafe_encode(b"{}")),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_altered_passkey_assertion_is_rejected(
    attack: Attack, rob_passkey: Authenticator, change: Callable[[dict[str, Any]], Any]
) -> None:
    client = Client()
    attack.refused(enters(client, change(rob_passkey.assertion(challenge(client)))) == "")
    attack.allowed(honest_enters(rob_passkey))


def test_passkey_assertion_works_once(attack: Attack, rob_passkey: Authenticator) -> None:
    client = Client()
    answer = rob_passkey.assertion(challenge(client))
    attack.allowed(enters(client, answer) == "rob")
    client.post("/logout")
    attack.refused(enters(client, answer) == "", "with a challenge that is used up")
    challenge(client)
    attack.refused(enters(client, answer) == "", "with the next challenge")


def test_assertion_for_another_browsers_challenge_is_rejected(
    attack: Attack, rob_passkey: Authenticator
) -> None:
    """The attacker sends what was captured in another browser."""
    victim, attacker = Client(), Client()
    answer = rob_passkey.assertion(challenge(victim))
    challenge(attacker)
    attack.refused(enters(attacker, answer) == "")
    attack.refused(enters(Client(), answer) == "")
    attack.allowed(enters(victim, answer) == "rob")


def test_passkey_opens_only_its_owners_account(
    attack: Attack, rob_passkey: Authenticator, admin_passkey: Authenticator
) -> None:
    client = Client()
    attack.refused(enters(client, rob_passkey.assertion(challenge(client), user=admin_passkey.user)) == "")
    disguised = Authenticator(admin_passkey.user, admin_passkey.credential_id, key=rob_passkey.key)
    attack.refused(enters(client, disguised.assertion(challenge(client))) == "")
    attack.allowed(honest_enters(rob_passkey))
    attack.allowed(honest_enters(admin_passkey))


def test_second_step_accepts_only_the_passkey_of_the_same_user(
    attack: Attack, rob_passkey: Authenticator, admin_passkey: Authenticator
) -> None:
    def gives(passkey: Authenticator) -> bool:
        client = Client()
        client.post("/login", {"username": "ada", "password": PASSWORD})
        client.get("/login/code")
        wanted = websafe_decode(client.session["mfa.webauthn.state"]["challenge"])
        client.post("/login/code", {"credential": json.dumps(passkey.assertion(wanted))})
        return client.get("/api/v1/me").status_code == 200

    attack.refused(not gives(rob_passkey))
    attack.allowed(gives(admin_passkey))


@pytest.mark.parametrize("behind", [0, 1, 5], ids=["the same", "one behind", "far behind"])
def test_cloned_passkey_is_detected_by_its_counter(
    attack: Attack, rob_passkey: Authenticator, behind: int
) -> None:
    rob_passkey.counter = 10
    attack.allowed(honest_enters(rob_passkey))
    client = Client()
    attack.refused(enters(client, rob_passkey.assertion(challenge(client), counter=11 - behind)) == "")
    rob_passkey.counter = 11
    attack.allowed(honest_enters(rob_passkey))


def test_passkey_counter_cannot_return_to_zero(attack: Attack, rob_passkey: Authenticator) -> None:
    """Zero means that an authenticator doesn't count, for example because it is synchronised by a cloud."""
    client = Client()
    attack.allowed(enters(client, rob_passkey.assertion(challenge(client), counter=0)) == "rob")
    client = Client()
    attack.allowed(enters(client, rob_passkey.assertion(challenge(client), counter=0)) == "rob")
    client = Client()
    attack.allowed(enters(client, rob_passkey.assertion(challenge(client), counter=5)) == "rob")
    client = Client()
    attack.refused(enters(client, rob_passkey.assertion(challenge(client), counter=0)) == "")


def test_removed_passkey_is_rejected(attack: Attack, rob_passkey: Authenticator) -> None:
    attack.allowed(honest_enters(rob_passkey))
    Passkey.objects.filter(user=rob_passkey.user).delete()
    attack.refused(not honest_enters(rob_passkey))


def test_disabled_user_cannot_sign_in_by_passkey(attack: Attack, rob_passkey: Authenticator) -> None:
    attack.allowed(honest_enters(rob_passkey))
    User.objects.filter(pk=rob_passkey.user.pk).update(is_active=False)
    attack.refused(not honest_enters(rob_passkey))


# Adding one -----------------------------------------------------------------------------------------------


def adds(client: Client, passkey: Authenticator, wanted: bytes | None = None, **lie: Any) -> bool:
    before = Passkey.objects.count()
    client.get(ADDING)
    asked = websafe_decode(client.session["mfa.webauthn.state"]["challenge"])
    credential = passkey.registration(wanted or asked, **lie)
    client.post(ADDING, {"name": "Laptop", "passwordless": "on", "credential": json.dumps(credential)})
    return Passkey.objects.filter(type="webauthn").count() > before


REGISTERING: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://evil.example"},
    "a subdomain of this": {"origin": "http://evil.testserver"},
    "another site": {"site": "evil.example"},
    "another challenge": {"wanted": b"another challenge"},
}


@pytest.mark.parametrize("lie", REGISTERING.values(), ids=REGISTERING.keys())
def test_passkey_registration_for_another_purpose_is_rejected(
    attack: Attack, db: None, lie: dict[str, Any]
) -> None:
    user, client = user_create(username="rob", password=PASSWORD), Client()
    client.post("/login", {"username": "rob", "password": PASSWORD})
    client.post("/account/confirm", {"password": PASSWORD, "next": ADDING})
    passkey = Authenticator(user, b"new")
    attack.refused(not adds(client, passkey, **lie))
    attack.allowed(adds(client, passkey))
