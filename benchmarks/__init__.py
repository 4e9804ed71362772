"""`make bench`: what the shop takes and costs, counted on the local engine and compared with the last accepted run."""
