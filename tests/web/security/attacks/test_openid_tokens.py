"""Forged, replayed, swapped and expired ID tokens. The provider is written for the test: it sends whatever
the attacker likes, and the same sign-in with a genuine token has to succeed."""

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from cairn.accounts.models import SignInFailure, User
from cairn.http import ssrf_guard
from cairn.messages import CodedMessage
from cairn.settings import Environment
from cairn.settings.identity import IdentityProviders, OidcProvider, allauth_settings
from tests.directory import make_certificate
from tests.openid_server import CLIENT, SECRET
from tests.threaded_server import SilentRequests
from tests.web.security.attacks.recorder import Attack
from web.identity import provider_requests

KEY = rsa.generate_private_key(65537, 2048)
STRANGERS_KEY = rsa.generate_private_key(65537, 2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SUBJECT = "subject-1"


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "RS256"}


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def with_mac(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """Signed with HMAC by hand, since libraries refuse to use a public key for it."""
    text = f"{segment(header)}.{segment(claims)}"
    mac = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


Misbehaviour = Callable[[BinaryIO], None]


class Issuer:
    """`token` is what the next exchange of a code gets; `userinfo` what is told of the person. `endpoints`:
    other addresses in the discovery document. `misbehaving`: what to send instead, by path."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.token, self.userinfo = "", {"sub": SUBJECT, "preferred_username": "rob"}
        self.endpoints: dict[str, str] = {}
        self.misbehaving: dict[str, Misbehaviour] = {}
        self.asked: list[str] = []
        issuer = self

        class Handler(SilentRequests, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.tell(issuer.answer(self.path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.tell({"access_token": "a", "token_type": "Bearer", "id_token": issuer.token})

            def tell(self, body: Any) -> None:
                issuer.asked.append(f"{self.headers['Host']}{self.path}")
                if send := issuer.misbehaving.get(self.path):
                    with suppress(OSError):  # the client hangs up
                        send(self.wfile)
                    return
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> Any:
        if path == "/userinfo":
            return self.userinfo
        if path == "/jwks":
            return {"keys": [jwk(KEY, "1")]}
        if path == "/evil-jwks":
            return {"keys": [jwk(STRANGERS_KEY, "1")]}
        names = ("authorization", "token", "userinfo")
        endpoints = {f"{name}_endpoint": f"{self.url}/{name}" for name in names}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **endpoints, **self.endpoints}

    def claims(self, nonce: str, /, **changed: Any) -> dict[str, Any]:
        """Return the claims; those set to None are omitted."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": SUBJECT,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(
        self, nonce: str, /, *, key: Any = KEY, algorithm: str = "RS256", headers: Any = None, **changed: Any
    ) -> str:
        header = {"kid": "1", **(headers or {})}
        return jwt.encode(self.claims(nonce, **changed), key, algorithm=algorithm, headers=header)


@pytest.fixture(scope="module")
def issuer_server() -> Iterator[Issuer]:
    yield from serve(Issuer())


@pytest.fixture
def tls_issuer(tmp_path: Path, settings: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """The configured provider, with a certificate that Cairn trusts."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key, "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    for issuer in serve(Issuer((certificate, key))):
        configure(settings, issuer)
        yield issuer


def serve(issuer: Issuer) -> Iterator[Issuer]:
    thread = Thread(target=issuer.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()
    thread.join()


@pytest.fixture
def issuer(issuer_server: Issuer, settings: Any, db: None) -> Issuer:
    issuer_server.userinfo = {"sub": SUBJECT, "preferred_username": "rob"}
    issuer_server.endpoints, issuer_server.misbehaving, issuer_server.asked = {}, {}, []
    configure(settings, issuer_server)
    return issuer_server


def configure(settings: Any, issuer: Issuer) -> None:
    found = OidcProvider(
        id="house", name="House", server_url=issuer.url, client_id=CLIENT, client_secret=SECRET
    )
    settings.IDENTITY_PROVIDERS = IdentityProviders(oidc=(found,))
    settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(settings.IDENTITY_PROVIDERS)


Forge = Callable[[Issuer, str], str]


def begin(client: Client) -> dict[str, str]:
    """Start a sign-in; return the parameters for the provider, such as `state` and `nonce`."""
    query = urlsplit(client.get("/oidc/house/login")["Location"]).query
    return {name: values[0] for name, values in parse_qs(query).items()}


def come_back(client: Client, state: str) -> bool:
    """Return whether the browser is signed in after returning with a code."""
    client.get("/oidc/house/callback", {"code": "c", "state": state})
    return client.get("/api/v1/me").status_code == 200


def signs_in(issuer: Issuer, forge: Forge) -> bool:
    client = Client()
    sent = begin(client)
    issuer.token = forge(issuer, sent["nonce"])
    return come_back(client, sent["state"])


def genuine(issuer: Issuer, nonce: str) -> str:
    return issuer.sign(nonce)


def unsigned(name: str) -> Forge:
    def forge(issuer: Issuer, nonce: str) -> str:
        return f"{segment({'alg': name, 'typ': 'JWT', 'kid': '1'})}.{segment(issuer.claims(nonce))}."

    return forge


def signed(**how: Any) -> Forge:
    return lambda issuer, nonce: issuer.sign(nonce, **how)


def at(**seconds: int) -> Forge:
    return lambda issuer, nonce: issuer.sign(
        nonce, **{name: int(time.time()) + offset for name, offset in seconds.items()}
    )


def by_mac(key: bytes) -> Forge:
    def forge(issuer: Issuer, nonce: str) -> str:
        return with_mac({"alg": "HS256", "typ": "JWT", "kid": "1"}, issuer.claims(nonce), key)

    return forge


def changed_payload(issuer: Issuer, nonce: str) -> str:
    head, _, signature = issuer.sign(nonce).split(".")
    return f"{head}.{segment(issuer.claims(nonce, admin=True))}.{signature}"


def stripped(issuer: Issuer, nonce: str) -> str:
    return issuer.sign(nonce).rpartition(".")[0] + "."


def with_own_key_set(issuer: Issuer, nonce: str) -> str:
    return issuer.sign(nonce, key=STRANGERS_KEY, headers={"jku": f"{issuer.url}/evil-jwks"})


FORGED: dict[str, Forge] = {
    **{f"algorithm {name!r}": unsigned(name) for name in ("none", "None", "NONE", "nOnE", "")},
    "another key under the same id": signed(key=STRANGERS_KEY),
    "another key under an unknown id": signed(key=STRANGERS_KEY, headers={"kid": "2"}),
    "a path for the id of the key": signed(key=STRANGERS_KEY, headers={"kid": "../../dev/null"}),
    "a key within the header": signed(key=STRANGERS_KEY, headers={"jwk": jwk(STRANGERS_KEY, "1")}),
    "a set of keys named in the header": with_own_key_set,
    "another kind of key": signed(key=CURVE_KEY, algorithm="ES256"),
    "HMAC with the public key": by_mac(PEM),
    "HMAC with the public key, trimmed": by_mac(PEM.strip()),
    "HMAC with the client's secret": by_mac(SECRET.encode()),
    "HMAC with nothing": by_mac(b""),
    "an unknown critical header": signed(headers={"crit": ["exp"], "exp": 1}),
    "a changed payload": changed_payload,
    "a signature that was stripped": stripped,
    "expired": at(iat=-1000, exp=-600),
    "not yet valid": at(nbf=600),
    "issued in the future": at(iat=600, exp=900),
    "for another client": signed(aud="another"),
    "for others, named for us": signed(aud=["another", "third"], azp=CLIENT),
    "for nobody": signed(aud=[]),
    "authorised for another client": signed(azp="another"),
    "by another issuer": signed(iss="https://issuer.example"),
    "by an issuer with a longer name": lambda issuer, nonce: issuer.sign(nonce, iss=f"{issuer.url}/x"),
    "with another nonce": signed(nonce="another"),
    "with an empty nonce": signed(nonce=""),
    "for an empty subject": signed(sub=""),
    "for another subject": signed(sub="subject-2"),
    "for a subject that is too long": signed(sub="s" * 200),
    "for a subject that is a number": signed(sub=1),
    **{f"without {name!r}": signed(**{name: None}) for name in ("iss", "sub", "aud", "exp", "iat", "nonce")},
    "no token at all": lambda *_: "",
    "nonsense": lambda *_: "a.b.c",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_forged_id_token_signs_nobody_in(attack: Attack, issuer: Issuer, forge: Forge) -> None:
    attack.refused(not signs_in(issuer, forge))
    attack.refused(not User.objects.exists(), "no account is made for it either")
    attack.allowed(signs_in(issuer, genuine))


@pytest.mark.parametrize("audience", [[CLIENT, "another"], ["another", CLIENT]], ids=str)
def test_token_for_several_clients_needs_this_authorized_party(
    attack: Attack, issuer: Issuer, audience: list[str]
) -> None:
    """A client of the same provider must not sign in here with a token that it got for itself."""
    attack.refused(not signs_in(issuer, signed(aud=audience)))
    attack.refused(not signs_in(issuer, signed(aud=audience, azp="another")))
    attack.allowed(signs_in(issuer, signed(aud=audience, azp=CLIENT)))


def test_id_token_is_bound_to_its_sign_in(attack: Attack, issuer: Issuer) -> None:
    """Replayed: a genuine token of an earlier sign-in, with the state of a new one."""
    attack.allowed(signs_in(issuer, genuine))
    used = issuer.token
    attack.refused(not signs_in(issuer, lambda *_: used))


def test_id_token_of_another_persons_sign_in_is_rejected(attack: Attack, issuer: Issuer) -> None:
    """Both browsers have begun: the attacker's comes back with the token that was made for the victim's."""
    victim, attacker = Client(), Client()
    sent_by_victim, sent_by_attacker = begin(victim), begin(attacker)
    issuer.token = issuer.sign(sent_by_victim["nonce"])
    attack.refused(not come_back(attacker, sent_by_attacker["state"]))
    attack.refused(not come_back(attacker, sent_by_victim["state"]))
    attack.allowed(come_back(victim, sent_by_victim["state"]))


def test_oauth_state_works_once(attack: Attack, issuer: Issuer) -> None:
    client = Client()
    sent = begin(client)
    issuer.token = issuer.sign(sent["nonce"])
    attack.allowed(come_back(client, sent["state"]))
    client.post("/logout")
    attack.refused(not come_back(client, sent["state"]))


@pytest.mark.parametrize("told", ["subject-2", "", None, 1], ids=repr)
def test_userinfo_of_another_subject_is_rejected(attack: Attack, issuer: Issuer, told: Any) -> None:
    issuer.userinfo = {"sub": told, "preferred_username": "rob"}
    attack.refused(not signs_in(issuer, genuine))
    issuer.userinfo = {"sub": SUBJECT, "preferred_username": "rob"}
    attack.allowed(signs_in(issuer, genuine))


def send_too_much(wire: BinaryIO) -> None:
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
    wire.write(b" " * (2 << 20))
    wire.write(b"}")


def redirect(wire: BinaryIO) -> None:
    wire.write(b"HTTP/1.1 307 OK\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")


def send_endless_headers(wire: BinaryIO) -> None:
    wire.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        time.sleep(0.05)
        wire.write(b"X-%d: 1\r\n" % number)
        wire.flush()
    wire.write(b"\r\n{}")


def send_deep_list(wire: BinaryIO) -> None:
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"[" * 100_000)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize("send", [send_too_much, redirect, send_endless_headers, send_deep_list])
def test_misbehaving_provider_signs_nobody_in(
    attack: Attack, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, path: str, send: Misbehaviour
) -> None:
    client = Client()
    sent = begin(client)
    issuer.token = issuer.sign(sent["nonce"])
    issuer.misbehaving = {path: send}
    if send is send_endless_headers:
        monkeypatch.setattr(provider_requests, "LIMIT_SECONDS", 0.5)
    attack.refused(not come_back(client, sent["state"]))
    if "well-known" in path:
        attack.refused(client.get("/oidc/house/login").status_code == 403)
    attack.refused(not any("elsewhere" in each for each in issuer.asked))
    monkeypatch.undo()
    issuer.misbehaving = {}
    attack.allowed(signs_in(issuer, genuine))


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"]
)
@pytest.mark.parametrize("scheme", ["http", "HTTP", " http", "ftp"])
def test_https_provider_may_name_no_endpoint_without_https(
    attack: Attack, tls_issuer: Issuer, name: str, scheme: str
) -> None:
    attack.allowed(signs_in(tls_issuer, genuine))
    client = Client()
    sent = begin(client)
    tls_issuer.token, tls_issuer.asked = tls_issuer.sign(sent["nonce"]), []
    tls_issuer.endpoints = {name: f"{scheme}://login.example.org/{name}"}
    attack.refused(not come_back(client, sent["state"]))
    attack.refused(not [each for each in tls_issuer.asked if "well-known" not in each], "nothing is sent")
    attack.refused(client.get("/oidc/house/login").status_code == 403)
    causes = [row.cause.code for row in SignInFailure.objects.all() if isinstance(row.cause, CodedMessage)]
    assert set(causes) == {"sign_in_plain_endpoint"}


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/", "http://169.254.169.254/latest/", "http://[::1/"]
)
def test_provider_endpoints_cannot_reach_the_internal_network(
    attack: Attack, issuer: Issuer, name: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = issuer.server.server_port
    issuer.endpoints = {name: target.format(port=port)}
    attack.refused(not signs_in(issuer, genuine))
    attack.refused(not any(each.startswith("localhost") for each in issuer.asked))
    path = {"token_endpoint": "token", "jwks_uri": "jwks", "userinfo_endpoint": "userinfo"}[name]
    issuer.endpoints = {name: f"http://localhost:{port}/{path}"}
    allowed = Environment(outgoing_allowed_hosts=("localhost",))
    monkeypatch.setattr(ssrf_guard, "environment", lambda: allowed)
    attack.allowed(signs_in(issuer, genuine))
