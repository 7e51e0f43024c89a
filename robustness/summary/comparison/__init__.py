"""One optimizer against another: pairs of the same seeds, tests, and what so many seeds can tell."""
