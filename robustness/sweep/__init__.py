"""Running a study: its missing trials on a Ray cluster, every result into the store as it ends.

`runner.run_study` is the door. Nothing is imported here: a worker needs `trainable` alone.
"""
