"""Finds the public data of the routing study, or makes generated data in its place and says so in the result."""

from __future__ import annotations

from lean_agentic.multi_lane.latency import STAND_INS, LatencyProfile, generated_profiles, load_llmperf
from lean_agentic.multi_lane.quality import ModelPairs, generate_quality, load_gsm8k
from lean_agentic.multi_lane.study import Sources
from lean_agentic.multi_lane.traffic import Traffic, generate_traffic, load_azure_trace
from lean_agentic.workbench.datasets import how_to_get, locate
from lean_agentic.workbench.recorder import Recorder

TRACE, ANSWERS = "azure_llm_inference_2023_conv", "routellm_gsm8k"


def load_sources(recorder: Recorder, *, requests: int, seed: int) -> Sources:
    """Load traffic, latencies and answers, each from its public file where one is here.

    Parameters
    ----------
    recorder
        Is told of every data set and of everything generated.
    requests
        How many to generate where the trace is missing; the trace itself has 19,366.

    Raises
    ------
    ChecksumError
        A file is here and is not what the manifest describes: nothing is generated in its place.
    LaneError
        A file is here, is the right one, and cannot be read.
    """
    return Sources(_traffic(recorder, requests, seed), _latencies(recorder, seed), _pairs(recorder, seed))


def _traffic(recorder: Recorder, requests: int, seed: int) -> Traffic:
    found = locate(TRACE)
    if found is None:
        recorder.used_data("traffic", origin="generated", note=how_to_get(TRACE))
        return generate_traffic(requests, seed)
    recorder.used_data(found.name, origin="file", sha256=found.sha256)
    return load_azure_trace(found.path)


def _latencies(recorder: Recorder, seed: int) -> dict[str, LatencyProfile]:
    profiles = generated_profiles(seed)
    for lane, file in STAND_INS.items():
        found = locate(f"llmperf_{file}")
        if found is None:
            recorder.used_data(f"latency of {lane}", origin="generated", note=how_to_get(f"llmperf_{file}"))
        else:
            recorder.used_data(found.name, origin="file", sha256=found.sha256, note=f"stands in for {lane}")
            profiles[lane] = load_llmperf(found.path)
    return profiles


def _pairs(recorder: Recorder, seed: int) -> ModelPairs:
    found = locate(ANSWERS)
    if found is None:
        recorder.used_data("answers", origin="generated", note=how_to_get(ANSWERS))
        return generate_quality(seed)
    recorder.used_data(found.name, origin="file", sha256=found.sha256)
    return load_gsm8k(found.path)
