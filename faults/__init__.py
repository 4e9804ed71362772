"""Crash everywhere: the real handlers and the real machine, stopped and disturbed at every call they make.

One process plays what AWS does around the functions, one thing at a time and on a virtual clock, so that a run is the
same each time. A flow is run once; at every point where something can go wrong a copy of the process is made for every
thing that can, goes on from there until the shop is at rest, and is examined. `docs/proof.md` says what is proved.
"""
