"""HTTP bodies of passwords, reset codes and second factors."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.auth.domain import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH, ResetCode

NewPassword = Annotated[SecretStr, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)]


class ResetCodeView(BaseModel):
    """A reset code, without the code; it works from its confirmation until it expires, once."""

    id: UUID
    user_id: UUID
    issued_by: UUID
    issued_at: datetime
    expires_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None

    @classmethod
    def of(cls, code: ResetCode) -> Self:
        """Show `code`."""
        return cls(**{name: getattr(code, name) for name in cls.model_fields})


class NewResetCodeView(BaseModel):
    """A new reset code, which nobody can read again."""

    code: str
    reset_code: ResetCodeView


class ResetBody(BaseModel):
    """A user's new password, and the code as proof. The code is taken in any case, with or without its dashes."""

    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, Field(max_length=256)]
    code: Annotated[SecretStr, Field(max_length=64)]
    new_password: Annotated[SecretStr, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)]


class OtpBody(BaseModel):
    """A code of the caller's device, or a recovery code."""

    model_config = ConfigDict(extra="forbid")

    otp: Annotated[SecretStr, Field(max_length=64)]


class NewDeviceView(BaseModel):
    """The secret of a new device, which nobody can read again; `uri` is what its QR code holds."""

    secret: str
    uri: str


class RecoveryCodesView(BaseModel):
    """Codes that each count once instead of one of the device. Nobody can read them again."""

    recovery_codes: list[str]


class OwnPasswordBody(BaseModel):
    """The caller's new password, and the old one as proof."""

    model_config = ConfigDict(extra="forbid")

    old_password: Annotated[SecretStr, Field(max_length=PASSWORD_MAX_LENGTH)]
    new_password: NewPassword
