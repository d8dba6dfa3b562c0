"""What the routes of users are sent, and what they answer.

What is sent and not asked for is passed over: nobody gives themselves a role by it.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

MAX_EMAIL = 320
"""How many characters an address has at most."""
MAX_PASSWORD = 1024
"""As many as are hashed; whatever is longer is not looked at."""
MAX_CODE = 64
"""How many characters a code has at most, with what people write between them."""
_MAX_TOKEN = 256
_MAX_ROLES = 100

Email = Annotated[str, Field(min_length=1, max_length=MAX_EMAIL, examples=["ann@example.com"])]
Password = Annotated[SecretStr, Field(min_length=1, max_length=MAX_PASSWORD)]
Code = Annotated[SecretStr, Field(min_length=1, max_length=MAX_CODE)]
LinkToken = Annotated[SecretStr, Field(min_length=1, max_length=_MAX_TOKEN)]
Role = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x20\x7f]+$")]


class Registration(BaseModel):
    """Who wants to become a user; subclass it to ask for columns of the service's own."""

    model_config = ConfigDict(extra="ignore")

    email: Email
    password: Password


class EmailAddress(BaseModel):
    """An address that a letter is asked for."""

    email: Email


class Link(BaseModel):
    """What the link of a letter has."""

    token: LinkToken


class PasswordReset(BaseModel):
    """A new password, and the link that allows it."""

    token: LinkToken
    password: Password


class Credentials(BaseModel):
    """What a user signs in with; the code is of the second factor, or a recovery code."""

    email: Email
    password: Password
    code: Code | None = None


class OneCode(BaseModel):
    """A code of the second factor, or a recovery code."""

    code: Code


class PasswordChange(BaseModel):
    """The password that a user has, and the one they want."""

    current_password: Password
    new_password: Password


class Confirmation(BaseModel):
    """The password once more."""

    password: Password


class FullConfirmation(BaseModel):
    """The password and the second factor once more."""

    password: Password
    code: Code


class Invitation(BaseModel):
    """Whom an administrator asks to become a user; they choose the password themselves."""

    email: Email
    roles: Annotated[list[Role], Field(max_length=_MAX_ROLES)] = []


class RoleList(BaseModel):
    """All roles that a user is to have."""

    roles: Annotated[list[Role], Field(max_length=_MAX_ROLES)]


class UserRead(BaseModel):
    """What is told of a user; subclass it to tell columns of the service's own."""

    id: str
    email: str
    email_verified_at: datetime | None
    disabled_at: datetime | None
    roles: list[str]


class SignedIn(BaseModel):
    """How far a user has come, who is told only if they are signed in."""

    status: Literal["signed_in", "second_factor_required"]
    """`second_factor_required`: send the code to `/auth/sign-in/second-factor`, within 5 minutes."""


class Accepted(BaseModel):
    """What everybody is answered who asks for a letter, whether one is sent or not."""

    status: Literal["accepted"] = "accepted"


class SecondFactorStatus(BaseModel):
    """Whether there is a second factor, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


class SecondFactorStart(BaseModel):
    """What an app needs to make codes; it is shown once."""

    secret: str
    uri: str
    """For a QR code."""


class RecoveryCodes(BaseModel):
    """Recovery codes; they are shown once."""

    recovery_codes: list[str]
