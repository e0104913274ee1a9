"""People: who uses the console."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models


class UserManager(BaseUserManager["User"]):
    """Creates people, who sign in by address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person with a hashed password (None: none usable yet)."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractUser):
    """A person who uses the console. Every one of them is an administrator so far."""

    username = None  # type: ignore[assignment]  # people sign in by address
    email = models.EmailField(unique=True)
    language = models.TextField(default="", blank=True)
    wants_alerts = models.BooleanField(default=False)  # by mail

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []


class PasswordAsk(models.Model):
    """That somebody wants a new password for an address, whether it is known here or not."""

    address = models.TextField()
    at = models.DateTimeField()
