"""Runs experiments, records where their figures come from, and reports them against the targets.

A notebook needs two names from here: `Recorder`, which takes the figures it measured, and
`datasets`, which finds the public data it measured them on.
"""

from lean_agentic.workbench.recorder import Recorder

__all__ = ["Recorder"]
