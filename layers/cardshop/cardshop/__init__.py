"""Cardshop: an automatic card-code shop. `domain` is pure, `usecases` know ports, `adapters` know AWS."""

import gc

# What imports make stays: looking through all of it for garbage, again and again, would be a seventh of a cold start.
gc.set_threshold(200_000)
