"""Knowing a password is not enough to use up the attempts of the second step, or to guess it."""

import json
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client
from fido2.utils import websafe_decode

from cairn.accounts.models import User
from tests.conftest import PASSWORD
from tests.web.security.attacks.recorder import Attack
from tests.web.security.attacks.test_passkeys import owned_by

pytestmark = pytest.mark.django_db
VICTIM, ATTACKER, ELSEWHERE = "192.0.2.10", "198.51.100.66", "192.0.2.99"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
IN, WRONG, WAIT = 302, 200, 429
Answer = Callable[[Client, str], int]


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No code expires between its being made and being checked."""
    now = time.time()
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))


@pytest.fixture
def rob(make_user: Callable[..., User]) -> User:
    return make_user("rob")


def password_given(client: Client, address: str) -> Client:
    response = client.post("/login", {"username": "rob", "password": PASSWORD}, REMOTE_ADDR=address)
    assert response["Location"] == "/login/code"
    return client


def give_code(client: Client, code: str, address: str) -> int:
    return client.post("/login/code", {"code": code}, REMOTE_ADDR=address).status_code


def with_app(user: User) -> Answer:
    app = TOTP.activate(user, SECRET)

    def answer(client: Client, address: str) -> int:
        """Each code counts once; the next is half a minute away."""
        code = format_hotp_value(hotp_value(SECRET, next(auth.yield_hotp_counters_from_time())))
        cache.delete(app._get_used_cache_key(code))
        return give_code(client, code, address)

    return answer


def with_recovery_codes(user: User) -> Answer:
    TOTP.activate(user, SECRET)
    codes = iter(RecoveryCodes.activate(user).generate_codes())
    return lambda client, address: give_code(client, next(codes), address)


def with_passkey(user: User) -> Answer:
    passkey = owned_by(user, b"of rob")

    def answer(client: Client, address: str) -> int:
        client.get("/login/code", REMOTE_ADDR=address)
        wanted = websafe_decode(client.session["mfa.webauthn.state"]["challenge"])
        body = {"credential": json.dumps(passkey.assertion(wanted))}
        return client.post("/login/code", body, REMOTE_ADDR=address).status_code

    return answer


def known_client(answer: Answer) -> Client:
    client = password_given(Client(), VICTIM)
    assert answer(client, VICTIM) == IN
    client.post("/logout")
    return client


def guess(times: int, address: str, client: Client) -> list[int]:
    return [give_code(client, f"{number:08}", address) for number in range(times)]


def wrong_passkeys(times: int, address: str, client: Client) -> list[int]:
    body = {"credential": json.dumps({"id": "x"})}
    return [client.post("/login/code", body, REMOTE_ADDR=address).status_code for _ in range(times)]


@pytest.mark.parametrize("tries", [guess, wrong_passkeys], ids=lambda tries: tries.__name__)
@pytest.mark.parametrize("factor", [with_app, with_recovery_codes, with_passkey], ids=lambda f: f.__name__)
def test_guessing_a_second_factor_does_not_lock_out_known_devices_or_addresses(
    rob: User, attack: Attack, factor: Callable[[User], Answer], tries: Callable[..., list[int]]
) -> None:
    answer = factor(rob)
    browser = known_client(answer)
    attacker = password_given(Client(), ATTACKER)
    statuses = tries(11, ATTACKER, attacker)
    attack.refused(statuses == [WRONG] * 10 + [WAIT], statuses)
    attack.refused(answer(attacker, ATTACKER) == WAIT, "the right answer, guessed last")
    attack.allowed(answer(password_given(browser, ELSEWHERE), ELSEWHERE) == IN, "the known device")
    attack.allowed(answer(password_given(Client(), VICTIM), VICTIM) == IN, "the known address")


@pytest.mark.slow
def test_guessing_from_many_addresses_is_limited(rob: User, attack: Attack) -> None:
    answer = with_recovery_codes(rob)
    browser = known_client(answer)
    statuses = []
    for number in range(7):
        address = f"203.0.113.{number}"
        statuses += guess(10, address, password_given(Client(), address))
    attack.refused(statuses[:60] == [WRONG] * 60 and set(statuses[60:]) == {WAIT}, statuses)
    attack.allowed(answer(password_given(browser, ELSEWHERE), ELSEWHERE) == IN)


def test_correct_code_does_not_reset_the_attempt_count(rob: User, attack: Attack) -> None:
    """Nor that of passwords at the address."""
    answer = with_recovery_codes(rob)
    client = password_given(Client(), ATTACKER)
    attack.refused(guess(5, ATTACKER, client) == [WRONG] * 5)
    for number in range(9):
        body = {"username": "rob", "password": f"wrong {number}"}
        assert Client().post("/login", body, REMOTE_ADDR=ATTACKER).status_code == WRONG
    attack.allowed(answer(client, ATTACKER) == IN)
    fresh = Client()
    body = {"username": "rob", "password": "wrong"}
    attack.refused(fresh.post("/login", body, REMOTE_ADDR=ATTACKER).status_code == WRONG)
    attack.refused(fresh.post("/login", body, REMOTE_ADDR=ATTACKER).status_code == WAIT)


def test_known_device_cannot_guess_a_second_factor(rob: User, attack: Attack) -> None:
    answer = with_recovery_codes(rob)
    browser = password_given(known_client(answer), VICTIM)
    statuses = guess(11, VICTIM, browser)
    attack.refused(statuses[-1] == WAIT, statuses)
    attack.refused(answer(browser, ELSEWHERE) == WAIT, "its count goes along")
    attack.allowed(answer(password_given(Client(), VICTIM), VICTIM) == IN)
