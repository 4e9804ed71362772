"""Cardshop: an automatic card-code shop. `domain` is pure, `usecases` know ports, `adapters` know AWS."""

import gc
import os

# What imports make stays: looking through all of it for garbage, again and again, would be a seventh of a cold start.
gc.set_threshold(200_000)

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Every worker is a copy of one snapshot, and so of this generator: all would want the same cards, and try again at
    # the same moments. (What is secret comes from the system, which tells copies apart.)
    import random

    from snapshot_restore_py import register_after_restore  # type: ignore[import-not-found]  # AWS's runtimes have it

    register_after_restore(random.seed)
