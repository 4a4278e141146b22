"""Whole jobs in one thread, in an order drawn from a seed, with crashes at whatever is written.

Everything that a job asks of the outside goes through a clock, a storage and the actors' steps.
Here they are replaced: time moves when nothing else can, files are in memory and lose what was not
durable at a crash, and one generator of random numbers decides who goes next and what breaks. The
same seed gives the same run, so a failure can be looked at as often as needed.
"""

from pystream.simulation.run import Report, SimulatedFailure, run_simulated
from pystream.simulation.scenario import Scenario, draw_scenario
from pystream.simulation.world import SimClock, World

__all__ = [
    "Report",
    "Scenario",
    "SimClock",
    "SimulatedFailure",
    "World",
    "draw_scenario",
    "run_simulated",
]
