"""The shop's rules: no AWS, no web framework, no clock of its own."""
