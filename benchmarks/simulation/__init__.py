"""`make simulate`: the shop's calls, as counted, against AWS's documented limits, in a discrete-event model."""
