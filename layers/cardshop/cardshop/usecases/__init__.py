"""What the shop does, one file each: load, ask the domain, write once. A use case takes only the ports it needs."""
