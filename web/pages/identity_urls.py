"""Addresses of signing in, under the names by which allauth finds them."""

from django.urls import path

from web.pages import session

urlpatterns = [
    path("login", session.login, name="account_login"),
    path("logout", session.logout, name="account_logout"),
]
