"""`python -m lean_agentic`: the same command line as `lean-agentic`."""

from lean_agentic.workbench.cli import main

if __name__ == "__main__":
    main()
