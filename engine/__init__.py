"""The shop on one machine: starts the local engine and the simulated provider, deploys to the engine, loads a demo."""
