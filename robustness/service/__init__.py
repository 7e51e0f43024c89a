"""The HTTP service: studies are submitted, watched and read over `/api/v1`. Torch-free."""

from robustness.service.app import create_app
from robustness.service.auth import Access, AccessLayer, token_of
from robustness.service.reading import Reader
from robustness.service.settings import Settings
from robustness.service.sites import Sites
from robustness.service.tokens import Role, Token, Tokens

__all__ = [
    "Access",
    "AccessLayer",
    "Reader",
    "Role",
    "Settings",
    "Sites",
    "Token",
    "Tokens",
    "create_app",
    "token_of",
]
