"""Studies of INSGD."""
