"""The near side: the workers of one run. Batches go out, answers come back in order; who dies is replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from vtbench.config import RunConfig
from vtbench.executor import BatchResult, FitResult, Notify, State
from vtbench.registry import Registry
from vtbench.runs.provenance import differing
from vtbench.types import Task
from vtbench_ray.actor import Held, Station, settings_of
from vtbench_ray.cluster import Connection, Need
from vtbench_ray.errors import ClusterError, WorkerError, first_line
from vtbench_ray.shards import Shard, Shards

RETRIES = 3
"""So many workers may die over one batch, or each while it loads the model, before the run ends."""
DEPTH = 2
"""Batches that a worker has at once, so that it never waits for the next."""
KEPT = "What is done is kept, --resume goes on"
TICK = 5.0
"""Seconds between looks at the cluster while nothing comes back."""


@dataclass(eq=False)
class Hand:
    """One worker as seen from here: what it was asked, in that order."""

    actor: ActorHandle
    opening: ray.ObjectRef | None
    held: Held | None = None
    asked: dict[ray.ObjectRef, Shard] = field(default_factory=dict)


class RayCrew:
    """Workers on a cluster.

    Args:
        connection: closed with the crew.
        need: what each worker takes.
        count: how many workers.
        config: the run's.
        tasks: as loaded here; workers must find the same.
        registry: sent to the workers.
        say: is told who works where, and who died.

    Raises:
        WorkerError: they keep dying, or differ.
        VtbenchError: what loading the model raises.
    """

    def __init__(
        self,
        connection: Connection,
        need: Need,
        count: int,
        config: RunConfig,
        tasks: Sequence[Task],
        registry: Registry,
        say: Notify,
    ) -> None:
        self._connection, self._need, self._count, self._say = connection, need, count, say
        self._given = ray.put((config, registry, os.getcwd()))
        self._settings = settings_of(tasks)
        options: dict[str, Any] = {"num_cpus": need.cpus, "num_gpus": need.gpus, "scheduling_strategy": "SPREAD"}
        self._station = ray.remote(Station).options(**options)
        self._hands: list[Hand] = []
        self._begun: tuple[str, ray.ObjectRef] | None = None
        self._deaths = 0
        self._held: Held | None = None
        try:
            self._hire()
            self._say(f"workers  {count} with {need} each, on the Ray cluster {connection.place}")
            self._anyone()
        except BaseException:
            self._dismiss()
            raise

    @property
    def model(self) -> Held:
        """The model that all workers hold."""
        assert self._held is not None
        return self._held

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit on the task's first samples, by one worker."""
        if not wanted:
            return FitResult({}, ())
        found: FitResult = self._one(lambda actor: actor.fit.remote(task, list(wanted), size), f"the basis of {task}")
        return found

    def begin(self, task: str, bases: Mapping[str, State]) -> Mapping[str, Any]:
        """Let every worker take up these bases, those that join later too."""
        self._begun = begun = task, ray.put(dict(bases))
        for hand in [hand for hand in self._hands if hand.held][1:]:
            hand.actor.begin.remote(*begun)
        found: Mapping[str, Any] = self._one(lambda actor: actor.begin.remote(*begun), f"the basis of {task}")
        return found

    def answer(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Yield batches in the order of `indices`."""
        shards = Shards(indices, sizes, ahead=2 * DEPTH * self._count)
        while not shards.over:
            self._hand_out(task, shards)
            for hand, ref in self._ready(shards):
                shard = hand.asked[ref]
                found = self._got(hand, ref, shards, f"{task} {shard.indices[0]} to {shard.indices[-1]}")
                if found is not None and hand in self._hands:
                    del hand.asked[ref]
                    self._deaths = 0
                    yield from shards.answered(shard, found)

    def close(self) -> None:
        """Give back all workers, and leave the cluster."""
        try:
            closing = [hand.actor.close.remote() for hand in self._hands if hand.held and not hand.asked]
            ray.wait(closing, num_returns=len(closing), timeout=TICK) if closing else None
            self._dismiss()
        finally:
            self._connection.close()

    def _hire(self) -> None:
        """Ask for workers until there are enough."""
        while len(self._hands) < self._count:
            actor = self._station.remote()
            self._hands.append(Hand(actor, actor.open.remote(self._given)))

    def _dismiss(self) -> None:
        for hand in self._hands:
            ray.kill(hand.actor)
        self._hands.clear()

    def _hand_out(self, task: str, shards: Shards) -> None:
        """Fill up the workers, the least busy first."""
        ready = [hand for hand in self._hands if hand.held]
        for depth in range(DEPTH):
            for hand in ready:
                if len(hand.asked) == depth and (shard := shards.take()):
                    hand.asked[hand.actor.answer.remote(task, list(shard.indices))] = shard

    def _ready(self, shards: Shards | None = None) -> list[tuple[Hand, ray.ObjectRef]]:
        """Wait a little; take in workers that have opened, and return what was answered."""
        owners = {ref: hand for hand in self._hands for ref in (*([hand.opening] if hand.opening else ()), *hand.asked)}
        done, _ = ray.wait(list(owners), num_returns=1, timeout=TICK)
        if not done:
            self._still_room()
            return []
        done, _ = ray.wait(list(owners), num_returns=len(owners), timeout=0)
        for ref in done:
            if ref == owners[ref].opening:
                self._opened(owners[ref], shards)
        return [(owners[ref], ref) for ref in done if ref in owners[ref].asked]

    def _opened(self, hand: Hand, shards: Shards | None) -> None:
        """A worker has its model, or not."""
        assert hand.opening is not None
        held: Held | None = self._got(hand, hand.opening, shards, "loading the model")
        if held is None:
            return
        hand.opening, hand.held = None, held
        if self._held is None:
            self._held = held
            here = {"model": held.identity["model"], **self._settings}
            self._same(held, here, "this command")
        else:
            self._same(held, self._held.identity, f"the worker on {self._held.place}")
        if self._begun:
            hand.actor.begin.remote(*self._begun)

    @staticmethod
    def _same(held: Held, other: Mapping[str, Any], where: str) -> None:
        if keys := differing(held.identity, other):
            raise WorkerError(
                f"the worker on {held.place} is not like {where}, which differs in {', '.join(keys)}; all nodes need "
                "the same files, packages and kind of device"
            )

    def _got(self, hand: Hand, ref: ray.ObjectRef, shards: Shards | None, what: str) -> Any:
        """Return what came back. None where the worker died, which is then replaced.

        Raises:
            VtbenchError: what the worker raised.
            WorkerError: too many died over this.
        """
        try:
            return ray.get(ref)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            self._lost(hand, ref, shards, what, first_line(error))
            return None

    def _lost(self, hand: Hand, ref: ray.ObjectRef, shards: Shards | None, what: str, why: str) -> None:
        if hand not in self._hands:
            return
        self._hands.remove(hand)
        ray.kill(hand.actor)
        first = next(iter(hand.asked.values()), None)  # what it was at when it died; the rest only waited
        if first is not None and shards is not None:
            first.deaths += 1
            shards.lost(list(hand.asked.values()))
        else:
            self._deaths += 1
        if (first is not None and first.deaths > RETRIES) or self._deaths > RETRIES * self._count:
            raise WorkerError(f"workers die again and again over {what}; the last: {why}. {KEPT}")
        place = f" on {hand.held.place}" if hand.held else ""
        self._say(f"a worker{place} is gone ({why}); {what} is asked again")
        self._hire()

    def _anyone(self) -> Hand:
        """Return a worker that has its model, as soon as there is one."""
        while not (ready := [hand for hand in self._hands if hand.held]):
            self._ready()
        return ready[0]

    def _one(self, ask: Callable[[ActorHandle], ray.ObjectRef], what: str) -> Any:
        """Ask any worker, and another one where it dies."""
        while True:
            hand = self._anyone()
            ref = ask(hand.actor)
            if (found := self._got(hand, ref, None, what)) is not None:
                return found

    def _still_room(self) -> None:
        """Nothing came back for a while: say so where no worker can ever be had again.

        Raises:
            ClusterError: no node has room any more.
        """
        if not any(hand.held for hand in self._hands):
            try:
                self._connection.room(self._need)
            except ClusterError as error:
                raise ClusterError(f"{error}. {KEPT}") from error
