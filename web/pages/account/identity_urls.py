"""Sign-in URLs, under the names that allauth expects."""

from django.urls import path

from web.pages.account import federation, forgot_password, password_links, second_factor, sign_in

urlpatterns = [
    path("login", sign_in.login, name="account_login"),
    path("login/code", second_factor.second_step, name="mfa_authenticate"),
    path("login/passkey", second_factor.passkey_sign_in, name="mfa_login_webauthn"),
    path("forgot-password", forgot_password.forgot_password, name="forgot_password"),
    path("set-password/check", password_links.check, name="set_password_check"),
    path("set-password", password_links.set_password, name="set_password"),
    path("logout", sign_in.logout, name="account_logout"),
    path("account/confirm", second_factor.confirm_password, name="account_reauthenticate"),
    path("account/confirm/code", second_factor.confirm_code, name="mfa_reauthenticate"),
    path("account/confirm/passkey", second_factor.confirm_passkey, name="mfa_reauthenticate_webauthn"),
    path("account/second-factor", second_factor.index, name="mfa_index"),
    path("account/second-factor/app", second_factor.app_add, name="mfa_activate_totp"),
    path("account/second-factor/app/remove", second_factor.app_remove, name="mfa_deactivate_totp"),
    path("account/second-factor/codes", second_factor.codes, name="mfa_view_recovery_codes"),
    path("account/second-factor/codes/new", second_factor.codes_renew, name="mfa_generate_recovery_codes"),
    path("account/second-factor/passkeys/new", second_factor.passkey_add, name="mfa_add_webauthn"),
    path(
        "account/second-factor/passkeys/<int:pk>/remove",
        second_factor.passkey_remove,
        name="mfa_remove_webauthn",
    ),
    path("oidc/<slug:provider_id>/login", federation.oidc_login, name="openid_connect_login"),
    path("oidc/<slug:provider_id>/callback", federation.oidc_callback, name="openid_connect_callback"),
    path("saml/<slug:organization_slug>/login", federation.saml_login, name="saml_login"),
    path("saml/<slug:organization_slug>/acs", federation.saml_acs, name="saml_acs"),
    path("saml/<slug:organization_slug>/acs/finish", federation.saml_finish, name="saml_finish_acs"),
    path("saml/<slug:organization_slug>/logout", federation.saml_logout, name="saml_sls"),
    path("saml/<slug:organization_slug>/metadata", federation.saml_metadata, name="saml_metadata"),
]
