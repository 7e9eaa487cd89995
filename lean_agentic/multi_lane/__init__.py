"""Routes requests over lanes (onnx_local, anthropic, openrouter) by cost, latency, quality and availability.

Here: a discrete-event replay of recorded traffic, the policies that choose a lane, and the bounds and
metrics to judge them by. See `docs/multi_lane.md`.
"""
