"""The REST contract: requests in, answers and problems out."""
