"""Hyperparameter-robustness studies of deep-learning optimizers.

The command line is the usual way in: `robustness run studies/quickstart.toml`. From Python,
`robustness.INSGD` is the optimizer, imported with torch when first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustness.optimizers.insgd import INSGD

__all__ = ["INSGD", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazy: `import robustness` must not load torch.
    if name == "INSGD":
        from robustness.optimizers.insgd import INSGD

        return INSGD
    raise AttributeError(f"module 'robustness' has no attribute {name!r}")
