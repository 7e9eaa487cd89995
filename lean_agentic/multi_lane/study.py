"""The routing study: one hour of traffic, every policy on the same requests, thresholds fitted on an earlier slice.

In: `Sources` (traffic, latencies, answers; recorded or generated) and a `Setting` (what a reader may change).
Out: `Replayed`, the outcomes of all policies on held-out traffic and held-out prompts, with the bound beside them.
The notebook, the benchmark and the live explorer all go through here, so they cannot disagree.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from lean_agentic.multi_lane.bound import Bound, lower_bound
from lean_agentic.multi_lane.dual import fit_dual
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, Lane
from lean_agentic.multi_lane.latency import LatencyProfile, generated_profiles
from lean_agentic.multi_lane.metrics import Savings, Summary, savings, summarise
from lean_agentic.multi_lane.policies import Dual, EpsilonGreedy, LinUCB, Policy, RandomMix, SingleLane, WeightedScore
from lean_agentic.multi_lane.quality import LaneQuality, ModelPairs, generate_quality, lane_qualities
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.traffic import Traffic, build_workload, generate_traffic
from lean_agentic.multi_lane.workload import Outcome, Workload

FITS_KEPT = 64
"""Fitted dual policies kept, so that moving a slider back costs nothing."""
OUTCOMES_KEPT = 32
"""Outcomes kept of the policies that heed neither quality floor nor budget, likewise; some MB in all."""


@dataclass(frozen=True, repr=False)
class Sources:
    """What the study replays; each part says where it comes from."""

    traffic: Traffic
    latencies: Mapping[str, LatencyProfile]
    """By lane name."""
    pairs: ModelPairs

    def __repr__(self) -> str:
        times = "+".join(sorted({profile.source for profile in self.latencies.values()}))
        return f"Sources(traffic: {self.traffic.source}; latencies: {times}; answers: {self.pairs.source})"


def generated_sources(requests: int, seed: int) -> Sources:
    """Sources for a machine without the public data, all of them `generated`."""
    return Sources(generate_traffic(requests, seed), generated_profiles(seed), generate_quality(seed))


@dataclass(frozen=True)
class Setting:
    """What a reader may change."""

    latency_target_s: float = 20.0
    """For medium priority; the others by `scenario.TARGET_MULTIPLIERS`."""
    quality_floor: float = 0.95
    """Share of the best single lane's quality to keep."""
    budget_usd: float = float("inf")
    local_tokens_per_s: float = 400.0
    """Median speed of onnx_local's one server."""
    traffic_multiplier: float = 1.0
    """How many times faster than recorded the requests arrive."""
    down: tuple[str, ...] = ()
    """Lanes that are down for the whole replay."""


@dataclass(frozen=True, repr=False)
class Replayed:
    """Every policy on the same held-out requests."""

    workload: Workload
    scenario: Scenario
    outcomes: tuple[Outcome, ...]

    def __repr__(self) -> str:
        return f"Replayed({len(self.outcomes)} policies on {self.workload!r})"

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """By policy."""
        return {outcome.policy: summarise(outcome, self.workload, self.scenario) for outcome in self.outcomes}

    @cached_property
    def savings(self) -> Savings:
        """Of every policy against the named alternatives."""
        return savings(self.outcomes, self.workload, self.scenario)

    @cached_property
    def bound(self) -> Bound:
        """The least cost that any policy with these predictions could reach."""
        return lower_bound(self.workload, self.scenario)

    def outcome(self, policy: str) -> Outcome:
        """One policy's outcome.

        Raises
        ------
        LaneError
            No policy of that name was replayed.
        """
        for outcome in self.outcomes:
            if outcome.policy == policy:
                return outcome
        raise LaneError(
            f"No policy {policy!r} was replayed; there are {[outcome.policy for outcome in self.outcomes]}."
        )


class RoutingStudy:
    """Joins the sources once and replays them under any setting.

    Parameters
    ----------
    sources
        The earlier half of the traffic and one half of the prompts are for fitting, the later halves for reporting.
    arrivals
        Requests to replay, from the start of the later half; as many from the earlier half to fit on.
    openrouter_strong_share
        See `quality.lane_qualities`.
    seed
        Of the split of the prompts, the joins, the outages.

    Raises
    ------
    LaneError
        The traffic is too short for two slices of so many arrivals, or the seed is negative.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        arrivals: int,
        seed: int,
        openrouter_strong_share: float = 0.75,
        lanes: tuple[Lane, ...] = NOMINAL_LANES,
    ) -> None:
        if arrivals < 1 or 2 * arrivals > len(sources.traffic):
            raise LaneError(
                f"{arrivals} arrivals to report on and as many to fit on need {2 * arrivals} requests at least; "
                f"{sources.traffic!r} has {len(sources.traffic)}. Ask for 1 to {len(sources.traffic) // 2} arrivals."
            )
        if seed < 0:
            raise LaneError(f"A study's seed is a whole number of at least 0, not {seed}.")
        self.sources, self.seed, self.lanes = sources, seed, lanes
        earlier, later = sources.traffic.halves()
        self.train_traffic, self.test_traffic = earlier.head(arrivals), later.head(arrivals)
        self.train_quality, self.test_quality = lane_qualities(
            sources.pairs, openrouter_strong_share=openrouter_strong_share, seed=seed
        )
        self._fitted = lru_cache(FITS_KEPT)(self._fit)
        self._heedless = lru_cache(OUTCOMES_KEPT)(self._replay_heedless)

    def train(self, setting: Setting) -> Workload:
        """The earlier slice with the training prompts."""
        return self._workload(self.train_traffic, self.train_quality, setting, self.seed * 2 + 1)

    def test(self, setting: Setting) -> Workload:
        """The later slice with the test prompts."""
        return self._workload(self.test_traffic, self.test_quality, setting, self.seed * 2)

    def scenario(self, setting: Setting) -> Scenario:
        """What the held-out requests meet."""
        return Scenario(
            lanes=self._lanes(setting),
            latency_target_s=setting.latency_target_s,
            budget_usd=setting.budget_usd,
            quality_floor=setting.quality_floor,
            forced_outages=tuple(ForcedOutage(name) for name in setting.down),
            seed=self.seed,
        )

    def training_scenario(self, setting: Setting) -> Scenario:
        """What the requests for fitting meet: the same lanes, down at other times than the requests to report on."""
        return replace(self.scenario(setting), seed=2 * self.seed + 1)

    def policies(self, setting: Setting) -> tuple[Policy, ...]:
        """Every policy of the comparison; the dual one is fitted on the earlier slice, with no lane forced down."""
        return (*self._heedless_policies(), self._dual(setting))

    def replay(self, setting: Setting) -> Replayed:
        """Replay the held-out requests with every policy; what another floor or budget cannot change is kept."""
        # A slider of floor or budget then moves one policy's replay, not eight.
        workload, outcomes = self._heedless(replace(setting, quality_floor=0.0, budget_usd=float("inf")))
        scenario = self.scenario(setting)
        return Replayed(workload, scenario, (*outcomes, simulate(workload, scenario, self._dual(setting))))

    def _replay_heedless(self, setting: Setting) -> tuple[Workload, tuple[Outcome, ...]]:
        """The held-out requests, and every policy's outcome but the dual one's."""
        workload, scenario = self.test(setting), self.scenario(setting)
        return workload, tuple(simulate(workload, scenario, policy) for policy in self._heedless_policies())

    def _heedless_policies(self) -> tuple[Policy, ...]:
        """Those that look at neither quality floor nor budget."""
        singles = tuple(SingleLane(lane.name) for lane in self.lanes)
        return (*singles, RandomMix(), WeightedScore(), EpsilonGreedy(), LinUCB())

    def _dual(self, setting: Setting) -> Dual:
        """Fitted without regard to the budget and with no lane forced down."""
        return self._fitted(replace(setting, budget_usd=float("inf"), down=()))

    def _lanes(self, setting: Setting) -> tuple[Lane, ...]:
        """The lanes with the medians of their profiles as typical speeds: what a router knows from earlier traffic."""
        known = []
        for lane in self.lanes:
            profile = self.sources.latencies[lane.name]
            # A machine of one's own has the speed that the setting gives it; a provider's is as measured.
            if lane.servers:
                profile = profile.scaled_to(setting.local_tokens_per_s)
            first_s = float(np.median(profile.ttft_s))
            known.append(replace(lane, typical_ttft_s=first_s, typical_tokens_per_s=profile.tokens_per_s))
        return tuple(known)

    def _fit(self, setting: Setting) -> Dual:
        return fit_dual(self.train(setting), self.training_scenario(setting))

    def _workload(self, traffic: Traffic, quality: LaneQuality, setting: Setting, seed: int) -> Workload:
        workload = build_workload(
            traffic,
            self.lanes,
            self.sources.latencies,
            quality,
            local_tokens_per_s=setting.local_tokens_per_s,
            seed=seed,
        )
        return workload.faster(setting.traffic_multiplier)


def requests_per_second(replayed: Replayed, policy: Policy, repetitions: int = 5) -> float:
    """How fast the simulator replays a policy: requests over the least seconds of several repetitions."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        simulate(replayed.workload, replayed.scenario, policy)
        seconds.append(time.perf_counter() - start)
    return len(replayed.workload) / min(seconds)
