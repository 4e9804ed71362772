"""`python -m client`: what `./cardshop` runs."""

from client.commands import cardshop

cardshop(prog_name="cardshop")
