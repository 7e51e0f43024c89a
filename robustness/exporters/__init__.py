"""Studies in the files of other programs. `optuna_journal` is what optuna-dashboard opens."""

from robustness.exporters.optuna_journal import write_journal

__all__ = ["write_journal"]
