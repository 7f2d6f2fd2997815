"""Users, groups, and the API keys of users."""

import uuid
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy

from cairn.accounts.confusable_names import name_skeleton, normalize_name
from cairn.message_fields import MessageField


class KeyScope(models.TextChoices):
    SEARCH = "search", gettext_lazy("Read and search")
    ASK = "ask", gettext_lazy("Ask questions")
    INGEST = "ingest", gettext_lazy("Upload documents")
    MANAGE = "manage", gettext_lazy("Manage knowledge bases")
    ADMIN = "admin", gettext_lazy("Manage users")


class UserManager(BaseUserManager["User"]):
    def active(self) -> models.QuerySet["User"]:
        return self.filter(is_active=True)

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(username=normalize_name(username), **fields)
        user.name_skeleton = name_skeleton(user.username)
        user.set_password(password)
        user.full_clean(exclude={"password"}, validate_constraints=False)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username__iexact=username)


class User(AbstractBaseUser):
    """`is_admin` may administer people and manages every knowledge base.

    `display_name`: what others read; several people may have the same. Only admins change `email`, since new
    passwords can be sent there.
    `language`: of pages; "": what their browser asks for.
    `name_skeleton` is equal for names that look alike, see `cairn.accounts.confusable_names`. It is unique
    except for accounts that existed before look-alikes were refused: `has_older_lookalike` marks all but the
    oldest.
    `session_generation` is counted up to end all sessions: they were made with the number before.
    `hidden`: an account that Cairn created for a test and removes itself. It's in no list of people.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(max_length=150, unique=True, validators=[UnicodeUsernameValidator()])
    name_skeleton = models.CharField(max_length=600, blank=True, default="", editable=False, db_index=True)
    has_older_lookalike = models.BooleanField(default=False, editable=False)
    display_name = models.CharField(max_length=150, blank=True, default="")
    email = models.EmailField(blank=True)
    is_admin = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    language = models.CharField(max_length=10, blank=True, default="")
    session_generation = models.PositiveIntegerField(default=0, editable=False)
    hidden = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(Lower("username"), name="username_unique_whatever_its_case"),
            models.UniqueConstraint(
                fields=["name_skeleton"],
                condition=Q(has_older_lookalike=False),
                name="username_looks_like_no_other",
            ),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def label(self) -> str:
        """The display name, and the user name, which distinguishes people with the same one."""
        return f"{self.display_name} ({self.username})" if self.display_name else self.username

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name_skeleton = name_skeleton(self.username)
        if (fields := kwargs.get("update_fields")) is not None and "username" in fields:
            kwargs["update_fields"] = {*fields, "name_skeleton"}
        super().save(*args, **kwargs)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        state = f"{self.session_generation}:{self.password}"
        return salted_hmac("cairn.session", state, secret=secret, algorithm="sha256").hexdigest()


class Identity(models.Model):
    """A person's id at a directory, which stays when names change.

    People are never matched by a name from a directory: it could be somebody else's here.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    source = models.CharField(max_length=100)
    external_id = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint("source", "external_id", name="identity_unique_in_source"),
            models.UniqueConstraint("user", "source", name="one_identity_per_user_and_source"),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} ({self.source})"


class Group(models.Model):
    """`source` is who says who is in it: "" this installation's admins, else a directory such as `oidc:okta`.

    Names are unique within a source only: naming a group elsewhere gives no access to ours by a name.
    `external_id` is the directory's own id for it, where it tells one.

    Members may create knowledge bases if `can_create_knowledge_bases`. Besides admins, only its `managers`
    may grant the group access to something.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=150)
    source = models.CharField(max_length=100, blank=True, default="")
    external_id = models.CharField(max_length=255, blank=True, default="")
    members = models.ManyToManyField(User, related_name="member_of", blank=True)
    managers = models.ManyToManyField(User, related_name="managed_groups", blank=True)
    can_create_knowledge_bases = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint("source", "name", name="group_name_unique_in_source"),
            models.UniqueConstraint(
                "source",
                "external_id",
                condition=~Q(external_id=""),
                name="group_external_id_unique_in_source",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.source})" if self.source else self.name


class UserOrGroup(models.Model):
    """A row that names either a user or a group, such as somebody who may read a document."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    group = models.ForeignKey(Group, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        abstract = True
        ordering = ["id"]

    def __str__(self) -> str:
        return self.subject

    @property
    def subject(self) -> str:
        return f"user:{self.user_id}" if self.user_id else f"group:{self.group_id}"

    @property
    def name(self) -> str:
        return self.user.label if self.user else str(self.group)


IS_USER_OR_GROUP: Final = models.Q(user=None, group__isnull=False) | models.Q(user__isnull=False, group=None)
"""Condition of a constraint on the rows of a UserOrGroup."""


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, at: datetime) -> "ApiKeyQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None, user__is_active=True)


class ApiKey(models.Model):
    """Only a digest is kept: the key itself is shown once. `prefix` distinguishes keys for people.

    `knowledge_bases` holds the ids of the only ones that it may touch; null: all that its user may. A list,
    not rows: when the last of them is deleted, the key must not open all others.
    `for_command`: made by a management command for its own use; such a key changes official knowledge bases
    only.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    label = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    knowledge_bases = models.JSONField(null=True, default=None)
    for_command = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix}…)"


class PasswordMail(models.Model):
    """A message with a one-time link that is to be sent to a user, or was.

    It contains neither the link nor the address: the link is created as the message is sent. `site` is the
    address of this installation. `requested_by` is an admin; None: the user, who forgot the password. `error`
    is why the last attempt failed.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="password_mail")
    is_invitation = models.BooleanField(default=False)
    language = models.CharField(max_length=10)
    site = models.CharField(max_length=300)
    days = models.PositiveSmallIntegerField()
    requested_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="requested_password_mails"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    not_before = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = MessageField(blank=True, default="")

    def __str__(self) -> str:
        return f"password mail to {self.user_id}"


class PasswordLink(models.Model):
    """A one-time link with which a user sets a password: an invitation, or a reset. Only a digest is stored.

    `state` is the user's session hash at creation. The link ends when it changes: with any new password, and
    when the account is disabled.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="password_link")
    digest = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"password link of {self.user_id}"


class SignInFailure(models.Model):
    """Why somebody could not sign in with an identity provider. `source`: of the provider. `cause` tells
    admins what to check. Neither the person nor anything that the provider sent is stored.
    """

    source = models.CharField(max_length=60)
    cause = MessageField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["source", "-at"], name="sign_in_failure_source")]

    def __str__(self) -> str:
        return f"{self.source} {self.cause}"
