"""`cardshop`: the operators' command line, a thin shell over the HTTP API. It never needs a card's code."""
