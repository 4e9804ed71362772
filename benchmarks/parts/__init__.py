"""One figure of the table each: `run(stage)` answers its figures."""
