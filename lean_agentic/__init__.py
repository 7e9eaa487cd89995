"""A research workbench for agents that optimise code and remember what they learned.

The subsystems are imported one by one (`from lean_agentic import multi_lane`), so that a program
pays only for what it uses.
"""

__version__ = "0.1.0"
