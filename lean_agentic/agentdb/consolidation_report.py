"""What a consolidation did, or would do."""

from __future__ import annotations

import html
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class ConsolidationReport:
    """Counts of one run."""

    clusters: int = 0
    """Clusters looked at, the ones left over from an interrupted run among them."""
    facts: int = 0
    """New facts."""
    extended: int = 0
    """Facts that took in further episodes."""
    archived: int = 0
    deleted: int = 0
    revived: int = 0
    """Episodes back in use because the fact that stood for them is gone."""
    live_before: int = 0
    """Vectors of records in use."""
    live_after: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    """Nothing was changed."""

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return any((self.facts, self.extended, self.archived, self.deleted, self.revived))

    @property
    def saved(self) -> float:
        """Share of the live vectors that went, 0 to 1; negative where there are more than before."""
        return 1 - self.live_after / self.live_before if self.live_before else 0.0

    def __repr__(self) -> str:
        return (
            f"ConsolidationReport({'dry run: ' if self.dry_run else ''}{self.clusters} clusters, {self.facts} facts, "
            f"{self.archived} archived, {self.deleted} deleted, "
            f"{self.live_before} -> {self.live_after} live vectors, {self.seconds:.1f} s)"
        )

    def _repr_html_(self) -> str:
        rows = {
            "clusters": self.clusters,
            "new facts": self.facts,
            "extended facts": self.extended,
            "archived episodes": self.archived,
            "deleted episodes": self.deleted,
            "revived episodes": self.revived,
            "live vectors": f"{self.live_before} → {self.live_after} ({-self.saved:+.1%})",
            "seconds": f"{self.seconds:.1f}",
        }
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left">{name}</th><td>{html.escape(str(value))}</td></tr>'
            for name, value in rows.items()
        )
        title = "Consolidation, dry run: nothing was changed" if self.dry_run else "Consolidation"
        return f"<table><caption>{title}</caption><tbody>{cells}</tbody></table>"
