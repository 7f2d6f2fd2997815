"""Signing in and out."""

from django.contrib.auth import views

login = views.LoginView.as_view(template_name="pages/login.html", redirect_authenticated_user=True)
logout = views.LogoutView.as_view()
