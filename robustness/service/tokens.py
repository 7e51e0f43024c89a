"""Tokens: who may read, who may change anything, and the cookie that stands for one in a browser.

The file has one token a line: the token, what it may do (`write` or `read`), a name. It is readable by its owner only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from robustness.errors import SpecError

__all__ = ["Role", "Token", "Tokens", "add_token", "default_token_file", "read_tokens"]

SESSION_SECONDS = 7 * 24 * 3600.0
SHORTEST = 16
"""Characters of a token that a user chose: shorter ones can be guessed over a network."""


class Role(StrEnum):
    """What a token may do."""

    WRITE = "write"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret and what it may do. Its `id` can be shown and stored; the secret cannot be had from it."""

    secret: str
    role: Role = Role.WRITE
    name: str = "token"

    def __repr__(self) -> str:
        """Without the secret: it would end in a log."""
        return f"Token({self.name!r}, {self.role.value}, id={self.id})"

    @property
    def id(self) -> str:
        """The same for the same secret."""
        return self._keyed("id")[:16]

    def session(self, now: float | None = None) -> str:
        """A cookie's value that stands for this token for a week; it ends with the token."""
        until = int((time.time() if now is None else now) + SESSION_SECONDS)
        return f"{self.id}.{until}.{self._keyed(f'session {until}')}"

    def _keyed(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Tokens:
    """All tokens of a service. Comparisons take the same time whatever is wrong."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        """Of these tokens.

        Raises:
            SpecError: none, a short one, or one twice.
        """
        if not tokens:
            raise SpecError.of("token", "is required: a service without one would be open to every page")
        for token in tokens:
            if len(token.secret) < SHORTEST or not re.fullmatch(r"[!-~]+", token.secret):
                raise SpecError.of(
                    "token",
                    f"must be at least {SHORTEST} printable characters without spaces ({token.name!r})",
                )
        if len({token.secret for token in tokens}) < len(tokens):
            raise SpecError.of("token", "must be given once: two tokens are the same")
        self._tokens = tuple(tokens)

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Each of them."""
        return iter(self._tokens)

    def find(self, secret: str) -> Token | None:
        """The token with that secret."""
        given = secret.encode()
        found = [token for token in self._tokens if hmac.compare_digest(token.secret.encode(), given)]
        return found[0] if found else None

    def of_session(self, value: str, now: float | None = None) -> Token | None:
        """The token that a cookie stands for; None where it is not ours, or too old."""
        token_id, _, rest = value.partition(".")
        until = rest.partition(".")[0]
        if not re.fullmatch(r"[0-9]{1,15}", until) or int(until) < (time.time() if now is None else now):
            return None
        for token in self._tokens:
            expected = token.session(int(until) - SESSION_SECONDS)
            if token.id == token_id and hmac.compare_digest(expected.encode(), value.encode()):
                return token
        return None


def default_token_file() -> Path:
    """Of this user: in XDG_CONFIG_HOME, else ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "robustness" / "tokens"


def read_tokens(path: Path, *, make: bool) -> tuple[list[Token], bool]:
    """The tokens of ROBUSTNESS_TOKEN and ROBUSTNESS_READ_TOKEN, or else of a file.

    Args:
        path: of the file.
        make: where there is none, make it with one token that may do everything.

    Returns:
        The tokens, and whether the file was made just now.

    Raises:
        SpecError: others can read the file, a line breaks the rule, or there is no file and `make` is false.
    """
    given = [
        Token(os.environ[variable], role, variable)
        for variable, role in (("ROBUSTNESS_TOKEN", Role.WRITE), ("ROBUSTNESS_READ_TOKEN", Role.READ))
        if os.environ.get(variable)
    ]
    if any(token.role is Role.WRITE for token in given):
        return given, False
    made = not path.exists()
    if made and not make:
        raise SpecError.of("--token-file", f"there is no token yet: {path} does not exist")
    if made:
        add_token(path, Role.WRITE, "first")
    return [*_read(path), *given], made


def add_token(path: Path, role: Role, name: str) -> Token:
    """Make a token and append it to a file, which is made where there is none.

    Raises:
        SpecError: a name that breaks the rule; a file that others can read, or that cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise SpecError.of("--name", f"must be 1 to 64 of A-Z a-z 0-9 . _ -, got {name!r:.80}")
    token = Token(secrets.token_urlsafe(32), role, name)
    try:
        if path.exists():
            _check_closed(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made closed: chmod afterwards would leave a moment in which others can open it.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{token.secret} {role.value} {name}\n")
    except OSError as error:
        raise SpecError.of("--token-file", f"{path} cannot be written: {error.strerror}") from None
    return token


def _check_closed(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise SpecError.of("--token-file", f"others can read {path} (mode {mode:o}): chmod 600 it")


def _read(path: Path) -> list[Token]:
    try:
        _check_closed(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError.of("--token-file", f"{path} cannot be read: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        secret, role, name, *rest = [*line.split(), "", "", ""][: max(len(line.split()), 3)]
        if rest or role not in ("", *Role):
            raise SpecError.of("--token-file", f"line {number} of {path} must be: TOKEN [write|read] [NAME]")
        found.append(Token(secret, Role(role or Role.WRITE), name or f"line{number}"))
    return found
