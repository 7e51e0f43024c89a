"""`python -m robustness.cli`."""

from robustness.cli import main

main()
