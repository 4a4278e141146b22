"""The seeded scheduler: turns the parts of a job, kills it, starts it again, compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pystream._native.arrow import Memory
from pystream.connectors.base import Sink
from pystream.runtime.launch import CheckpointOptions, launch
from pystream.runtime.run import Run
from pystream.simulation.scenario import Scenario, SimSink, draw_scenario
from pystream.simulation.world import Death, World
from pystream.storage.base import Storage
from pystream.storage.sim import SimStorage, SimulatedCrash

__all__ = ["Report", "SimulatedFailure", "run_simulated"]

_JOB = "simulated"
_LEASE_S = 30.0
_TURNS_MAX = 60_000  # of one life; more means that nothing moves


class SimulatedFailure(AssertionError):
    """A simulated run whose output is not that of an undisturbed one."""


@dataclass
class Report:
    """What happened in a simulated run.

    Attributes
    ----------
    seed
        What replays it.
    scenario
        The query in words.
    lives
        How often the job was started.
    epochs
        The last epoch that was decided.
    crashes
        Where it died: the act that was about to happen, or "between steps".
    """

    seed: int
    scenario: str
    lives: int = 0
    epochs: int = 0
    rows: int = 0
    crashes: list[str] = field(default_factory=list)


def run_simulated(
    seed: int,
    *,
    make_sink: Callable[[Storage], Sink] = SimSink,
    crashes: int = 6,
) -> Report:
    """Run a random job to its end through crashes, and compare its output with the batch answer.

    Parameters
    ----------
    seed
        Decides the query, the rows, who goes next, where the process dies and with how many shards
        it starts again.
    make_sink
        Makes the sink of each life over the simulated storage; one that breaks the protocol is
        caught.
    crashes
        How often it dies at most.

    Raises
    ------
    SimulatedFailure
        Rows were lost or came twice; the text says which seed shows it.

    Examples
    --------
    >>> run_simulated(7).seed
    7
    """
    world = World(seed)
    scenario = draw_scenario(world.rng)
    report = Report(seed, scenario.text)
    left = world.rng.randint(1, crashes) if crashes else 0
    over = False
    while not over:
        report.lives += 1
        over = _live(world, scenario, make_sink, left > 0, report)
        left -= 1
    _compare(world, scenario, report)
    return report


def _live(
    world: World,
    scenario: Scenario,
    make_sink: Callable[[Storage], Sink],
    dies: bool,
    report: Report,
) -> bool:
    """One life of the process; whether it came to the end of the job."""
    rng = world.rng
    death = Death.draw(rng) if dies else None
    last_turn = rng.randint(0, 3000) if dies and rng.random() < 0.3 else None
    storage = world.begin_life(death)
    run: Run | None = None
    try:
        run = launch(
            scenario.stream._node,
            make_sink(storage),
            parallelism=rng.randint(1, 4),
            memory=Memory(),
            name=_JOB,
            options=CheckpointOptions(
                storage,
                rng.choice([0.001, 0.005, 0.05]),
                rng.randint(1, 3),
                lease_s=_LEASE_S,
                instance=f"{rng.getrandbits(64):016x}",
            ),
            clock=world.clock,
            threaded=False,
        )
        _turn_all(world, run, last_turn)
        report.epochs = run.checkpointer.epoch if run.checkpointer is not None else 0
        run.end()
    except SimulatedCrash:
        report.crashes.append(world.died)
        world.bury()
        world.clock.advance(rng.choice([0.0, _LEASE_S / 2, _LEASE_S * 2]))
        if run is not None:
            run.driver.close()  # the memory of a dead life, without its good manners
        return False
    return True


def _turn_all(world: World, run: Run, last_turn: int | None) -> None:
    """Turn the actors of a run by chance until it is over."""
    rng = world.rng
    turns = 0
    idle = 0
    while not run.over:
        steps = run.simulated_steps()
        worked = rng.choice(steps)()
        idle = 0 if worked else idle + 1
        if idle > 3 * len(steps) or rng.random() < 0.1:
            world.clock.advance(rng.random() * 0.02)
        turns += 1
        if last_turn is not None and turns > last_turn:
            raise SimulatedCrash("between steps")
        if turns > _TURNS_MAX:
            raise SimulatedFailure(f"seed {world.seed}: nothing moves any more\n{_replay(world)}")


def _compare(world: World, scenario: Scenario, report: Report) -> None:
    found = Counter(SimSink.rows_in(SimStorage(world.disk)))
    wanted = Counter(scenario.expected)
    report.rows = sum(found.values())
    if found == wanted:
        return
    lost, extra = wanted - found, found - wanted
    shown = [f"  lost  {row}" for row in list(lost)[:5]]
    shown += [f"  extra {row}" for row in list(extra)[:5]]
    raise SimulatedFailure(
        f"seed {world.seed} ({scenario.text}; died {report.crashes}): {sum(lost.values())} rows "
        f"lost, {sum(extra.values())} too many\n" + "\n".join(shown) + "\n" + _replay(world)
    )


def _replay(world: World) -> str:
    return f"replay with: make sim SEED={world.seed}"
