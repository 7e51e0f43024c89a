"""The web pages of the service: Dash on its FastAPI backend, behind the service's own access. Torch-free.

Pages read the store through the service's reader, and write nothing: buttons send what any client of the API would.
"""

from .app import READING_POSTS, add_pages

__all__ = ["READING_POSTS", "add_pages"]
