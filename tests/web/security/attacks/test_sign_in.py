"""Accounts cannot be locked by others, and guessing stays limited."""

from collections.abc import Callable

import pytest
from django.conf import settings as configured
from django.core import signing
from django.test import Client

from cairn.accounts.models import User
from cairn.accounts.services import api_key_create
from tests.conftest import PASSWORD
from tests.web.security.attacks.recorder import Attack

pytestmark = pytest.mark.django_db
VICTIM, ATTACKER = "192.0.2.10", "198.51.100.66"
DEVICE = configured.DEVICE_COOKIE_NAME
IN, WRONG, WAIT = 302, 200, 429


@pytest.fixture
def rob(make_user: Callable[..., User]) -> User:
    make_user("eve")
    return make_user("rob")


def sign_in(client: Client, password: str, *, address: str, name: str = "rob") -> int:
    return client.post("/login", {"username": name, "password": password}, REMOTE_ADDR=address).status_code


def guess(
    times: int, *, address: str = ATTACKER, name: str = "rob", client: Client | None = None
) -> list[int]:
    """Each time without a cookie unless a client is given."""
    return [sign_in(client or Client(), f"wrong {n}", address=address, name=name) for n in range(times)]


def known_client(address: str = VICTIM, name: str = "rob") -> Client:
    """A browser that the user has signed in with before, and signed out of."""
    client = Client()
    assert sign_in(client, PASSWORD, address=address, name=name) == IN
    client.post("/logout")
    assert client.get("/").status_code == IN  # to the sign-in page
    return client


@pytest.mark.parametrize("name", ["rob", "ROB", " rob", "rob "])
def test_guessing_from_another_address_does_not_lock_out_the_user(
    rob: User, attack: Attack, name: str
) -> None:
    attack.refused(guess(11, name=name)[-1] == WAIT)
    attack.refused(sign_in(Client(), PASSWORD, address=ATTACKER) == WAIT, "the right password, guessed last")
    attack.allowed(sign_in(Client(), PASSWORD, address=VICTIM) == IN)


def test_spellings_of_a_name_share_one_attempt_count(rob: User, attack: Attack) -> None:
    """Directories find a person by many spellings of the name, and PostgreSQL by some."""
    wide = ("\uff52ob", "r\uff4fb", "ro\uff42", "\uff52\uff4fb", "\uff52o\uff42", "r\uff4f\uff42", "\uff32OB")
    spellings = ("rob", "ROB", *wide, "r\u00adob")
    statuses = [guess(1, name=name)[0] for name in spellings]
    attack.refused(statuses == [WRONG] * len(spellings), statuses)
    attack.refused(guess(1, name="\uff32\uff2f\uff22") == [WAIT])
    attack.refused(guess(1, name="ro\u200bb") == [WAIT])
    attack.allowed(sign_in(Client(), PASSWORD, address=ATTACKER, name="eve") == IN, "another name")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rob", "nobody"])
def test_guessing_at_the_same_address_does_not_lock_out_a_known_device(
    rob: User, attack: Attack, name: str
) -> None:
    """Such as in one office: neither the name there, nor the address by other names."""
    browser = known_client()
    statuses = guess(130, address=VICTIM, name=name)
    attack.refused(statuses[-1] == WAIT)
    attack.allowed(sign_in(browser, PASSWORD, address=VICTIM) == IN)


@pytest.mark.slow
def test_guessing_from_very_many_addresses_is_limited(rob: User, attack: Attack) -> None:
    """Known devices and known addresses still get in; only clients never seen before have to wait."""
    browser = known_client()
    statuses = [guess(1, address=f"203.0.{n // 200}.{n % 200}")[0] for n in range(205)]
    attack.refused(statuses[0] == WRONG)
    attack.refused(statuses[-1] == WAIT)
    attack.allowed(sign_in(browser, PASSWORD, address="192.0.2.99") == IN, "the known device elsewhere")
    attack.allowed(sign_in(Client(), PASSWORD, address=VICTIM) == IN, "the known address without a cookie")
    attack.allowed(sign_in(Client(), PASSWORD, address=ATTACKER, name="eve") == IN, "somebody else")


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("2001:db8:1:1::1", "2001:db8:1:1:ffff::9", True),
        ("2001:db8:1:1::1", "2001:db8:1:2::1", False),
        ("::ffff:192.0.2.10", "::ffff:192.0.2.11", False),
    ],
)
def test_addresses_of_one_network_share_an_attempt_count(
    rob: User, attack: Attack, mine: str, theirs: str, same: bool
) -> None:
    """Providers hand out networks of /64, in which a guesser may choose any address."""
    guess(10, address=theirs)
    attack.refused(sign_in(Client(), "wrong", address=theirs) == WAIT)
    if same:
        attack.refused(sign_in(Client(), PASSWORD, address=mine) == WAIT)
        attack.allowed(sign_in(Client(), PASSWORD, address="2001:db8:9::1") == IN)
    else:
        attack.allowed(sign_in(Client(), PASSWORD, address=mine) == IN)


def test_known_device_cannot_guess_passwords(rob: User, attack: Attack) -> None:
    browser = known_client()
    statuses = guess(12, client=browser)
    attack.refused(statuses[-1] == WAIT)
    attack.refused(sign_in(browser, PASSWORD, address="192.0.2.77") == WAIT, "its count goes along")
    attack.allowed(sign_in(known_client("192.0.2.30"), PASSWORD, address=VICTIM) == IN)


def test_device_known_for_another_user_has_no_effect(rob: User, attack: Attack) -> None:
    """An attacker with an account of their own has a valid cookie, but not for the victim's name."""
    attacker = known_client(ATTACKER, name="eve")
    statuses = guess(11, client=attacker)
    attack.refused(statuses[-1] == WAIT)
    attack.refused(sign_in(attacker, PASSWORD, address=ATTACKER) == WAIT)
    attack.allowed(sign_in(attacker, PASSWORD, address=ATTACKER, name="eve") == IN)


@pytest.mark.parametrize("forged", ["", "x", "e30:1:abc", "stolen", "null"])
def test_forged_device_cookie_has_no_effect(rob: User, attack: Attack, forged: str) -> None:
    browser = known_client()
    real = browser.cookies[DEVICE].value
    if forged == "stolen":
        content = signing.loads(real, salt="cairn.known_device")
        forged = signing.dumps(content, key="another secret", salt="cairn.known_device")
    attacker = Client()
    attacker.cookies[DEVICE] = forged
    guess(10, client=attacker)
    attack.refused(guess(1, client=attacker) == [WAIT])
    attacker.cookies[DEVICE] = real
    attack.allowed(sign_in(attacker, PASSWORD, address=ATTACKER) == IN, "the same client with the real one")


def test_device_cookie_is_http_only_and_names_nobody(rob: User, attack: Attack) -> None:
    cookie = known_client().cookies[DEVICE]
    attack.refused(bool(cookie["httponly"]) and cookie["samesite"] == "Lax", cookie)
    attack.refused("rob" not in str(signing.loads(cookie.value, salt="cairn.known_device")))
    attack.allowed(cookie["max-age"] > 300 * 24 * 3600)


def test_guessing_many_names_from_one_address_is_throttled(rob: User, attack: Attack) -> None:
    statuses = [guess(1, name=f"user-{n}")[0] for n in range(21)]
    attack.refused(statuses[-1] == WAIT)
    attack.allowed(sign_in(Client(), PASSWORD, address=VICTIM) == IN)


def test_own_sign_in_does_not_reset_the_attempt_count(rob: User, attack: Attack) -> None:
    """An attacker with an account of their own signs in now and then."""
    for _ in range(2):
        guess(5)
        attack.allowed(sign_in(Client(), PASSWORD, address=ATTACKER, name="eve") == IN)
    attack.refused(guess(1) == [WAIT])


@pytest.mark.parametrize("path", ["/login/code", "/account/confirm", "/account/confirm/code"])
def test_second_step_attempts_need_the_first_step(rob: User, attack: Attack, path: str) -> None:
    for n in range(12):
        response = Client().post(path, {"code": f"{n:06}", "password": "x"}, REMOTE_ADDR=ATTACKER)
        attack.refused(
            response.status_code in {302, 404, 403} and "/login" in response.get("Location", "/login")
        )
    attack.allowed(sign_in(Client(), PASSWORD, address=VICTIM) == IN)


def test_guessed_api_keys_lock_nobody_out(rob: User, attack: Attack) -> None:
    """Keys have 256 random bits: nothing has to be counted, so nothing can be used up."""
    _, key = api_key_create(user=rob, label="mine")
    for n in range(150):
        forged = f"{key[:-1]}{'-' if key[-1] != '-' else '_'}"[: len(key) - n % 7]
        headers = {"Authorization": f"Bearer {forged}"}
        attack.refused(Client().get("/api/v1/me", headers=headers).status_code == 401)
    headers = {"Authorization": f"Bearer {key}"}
    attack.allowed(Client().get("/api/v1/me", headers=headers).status_code == 200)
