"""What a lane costs, how fast and how reliable it is: the description that the simulator and the policies share.

Prices are nominal, as in the specification: they belong to the simulator and reproduce its cost demo; live lanes
take theirs from a price list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lean_agentic.multi_lane.errors import LaneError

PRIORITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class Lane:
    """One way to have a request answered."""

    name: str
    price_per_1k: float
    """US dollars per 1,000 tokens, context and generated tokens alike."""
    availability: float = 0.999
    """Share of time the lane is up; outages come and go as an alternating renewal process."""
    mean_outage_s: float = 30.0
    """Mean length of one outage, exponential."""
    failure_rate: float = 0.0
    """Share of attempts that fail although the lane is up."""
    requests_per_minute: float = float("inf")
    """Rate limit: a token bucket that holds `burst` requests and refills at this rate."""
    burst: int = 60
    servers: int = 0
    """How many requests it serves at once, the others waiting in line; 0: as many as come."""
    queue_limit: int = 64
    """How many may wait; one more is refused at once."""
    quality: float = 1.0
    """Mean share of right answers, where no data says it per prompt."""
    typical_ttft_s: float = 1.0
    """Seconds to the first token that a router expects before it has served a request."""
    typical_tokens_per_s: float = 30.0
    """Tokens a second after the first that a router expects before it has served a request."""

    def __post_init__(self) -> None:
        # Comparisons are written so that NaN fails them.
        if not 0 <= self.price_per_1k < math.inf:
            raise LaneError(
                f"{self.name}: a price is a number of dollars per 1K tokens, at least 0, not {self.price_per_1k}."
            )
        for field in ("availability", "failure_rate", "quality"):
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise LaneError(f"{self.name}: {field} is a share between 0 and 1, not {value}.")
        if not (0 < self.mean_outage_s < math.inf and self.requests_per_minute > 0 and self.burst >= 1):
            raise LaneError(
                f"{self.name}: mean_outage_s, requests_per_minute and burst must be positive, not "
                f"{self.mean_outage_s}, {self.requests_per_minute} and {self.burst}."
            )
        if not (0 < self.typical_ttft_s < math.inf and 0 < self.typical_tokens_per_s < math.inf):
            raise LaneError(
                f"{self.name}: typical_ttft_s and typical_tokens_per_s must be positive and finite, not "
                f"{self.typical_ttft_s} and {self.typical_tokens_per_s}."
            )
        if self.servers < 0 or self.queue_limit < 0:
            raise LaneError(
                f"{self.name}: servers and queue_limit are at least 0, not {self.servers} and {self.queue_limit}."
            )


ONNX_LOCAL = Lane(
    "onnx_local", 0.0, availability=0.9995, servers=1, queue_limit=16, typical_ttft_s=0.02, typical_tokens_per_s=400
)
ANTHROPIC = Lane(
    "anthropic", 0.10, availability=0.999, failure_rate=0.002, requests_per_minute=2000, typical_ttft_s=0.22,
    typical_tokens_per_s=270,
)  # fmt: skip
OPENROUTER = Lane(
    "openrouter", 0.05, availability=0.995, failure_rate=0.01, requests_per_minute=1000, typical_ttft_s=0.64,
    typical_tokens_per_s=87,
)  # fmt: skip
NOMINAL_LANES = (ONNX_LOCAL, ANTHROPIC, OPENROUTER)


def with_changes(lanes: Iterable[Lane], **changes: dict[str, object]) -> tuple[Lane, ...]:
    """Replace fields of lanes by name: `with_changes(lanes, anthropic={"availability": 0.9})`.

    Raises
    ------
    LaneError
        A name that no lane has, or a value that a lane refuses.
    """
    lanes = tuple(lanes)
    unknown = set(changes) - {lane.name for lane in lanes}
    if unknown:
        raise LaneError(f"No lane is called {', '.join(sorted(unknown))}; there are {[lane.name for lane in lanes]}.")
    return tuple(replace(lane, **changes.get(lane.name, {})) for lane in lanes)  # type: ignore[arg-type]
