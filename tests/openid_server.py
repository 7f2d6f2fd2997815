"""A real OpenID Connect provider in a process of its own: allauth's, with people made by the tests.

Who is signed in there is said by the header X-User. Prints its address.
"""

import json
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.http import HttpRequest, HttpResponse

CLIENT = "cairn"
SECRET = "a secret of the client"
CALLBACK = "http://testserver/oidc/house/callback"


def configure(folder: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings.configure(
        SECRET_KEY="of the provider",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="openid_server",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "provider.sqlite3"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.idp.oidc",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "openid_server.signed_in",
            "allauth.account.middleware.AccountMiddleware",
        ],
        IDP_OIDC_ADAPTER="openid_server.Adapter",
        IDP_OIDC_PRIVATE_KEY=pem,
    )
    django.setup()


def signed_in(get_response: Any) -> Any:
    from django.contrib.auth.models import AnonymousUser, User

    def middleware(request: HttpRequest) -> HttpResponse:
        request.user = User.objects.filter(username=request.headers.get("X-User")).first() or AnonymousUser()
        response: HttpResponse = get_response(request)
        return response

    return middleware


def callback(request: HttpRequest) -> HttpResponse:
    """Registers another address of Cairn: the text of the request."""
    from allauth.idp.oidc.models import Client

    client = Client.objects.get(id=CLIENT)
    client.set_redirect_uris([CALLBACK, request.body.decode()])
    client.save()
    return HttpResponse()


def person(request: HttpRequest) -> HttpResponse:
    """Create or change a person: {"username", "groups", "name"}, optionally with "email" and whether it
    is "verified"."""
    from allauth.account.models import EmailAddress
    from django.contrib.auth.models import Group, User

    fields = json.loads(request.body)
    user, _ = User.objects.get_or_create(username=fields["username"])
    user.first_name, _, user.last_name = fields["name"].partition(" ")
    user.save()
    if fields.get("email"):
        address = {"email": fields["email"], "verified": fields["verified"], "primary": True}
        EmailAddress.objects.update_or_create(user=user, defaults=address)
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in fields["groups"]])
    return HttpResponse(str(user.pk))


def prepare() -> None:
    from allauth.idp.oidc.models import Client
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    client = Client(id=CLIENT, name="Cairn", skip_consent=True, scopes="openid\nprofile\nemail")
    client.set_secret(SECRET)
    client.set_redirect_uris([CALLBACK])
    client.save()


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    from django.core.wsgi import get_wsgi_application

    prepare()
    server = make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    sys.modules["openid_server"] = sys.modules["__main__"]
    configure(Path(sys.argv[1]))

if settings.configured and settings.ROOT_URLCONF == "openid_server":
    from allauth.idp.oidc.adapter import DefaultOIDCAdapter
    from django.urls import include, path

    class Adapter(DefaultOIDCAdapter):
        def get_claims(self, purpose: Any, user: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
            claims: dict[str, Any] = super().get_claims(purpose, user, *args, **kwargs)
            return {**claims, "groups": sorted(user.groups.values_list("name", flat=True))}

    urlpatterns = [
        path("test/person", person),
        path("test/callback", callback),
        path("", include("allauth.idp.urls")),
    ]

if __name__ == "__main__":
    main()
