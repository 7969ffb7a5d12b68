"""Trainers of the tests find one machine, whatever they run on: nothing is timed, and the types of a run are the same everywhere."""

from topklm import precision

measure = precision.measure
SPEEDS = {"f32": 140e9, "bf16": 1.2e9}
precision.measure = lambda device: dict(SPEEDS)
