"""Cardshop: an automatic card-code shop. `domain` is pure, `usecases` know ports, `adapters` know AWS."""
