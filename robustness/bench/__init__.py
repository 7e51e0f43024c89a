"""Benchmarks as commands: ratios within one interleaved run, since machines are noisy."""
