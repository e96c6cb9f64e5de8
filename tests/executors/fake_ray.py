"""A fake `ray` module in one process: actors compute when waited for, and a test can kill them.

It has only what vtbench_ray uses. Arguments and results are pickled, as on a cluster. `Cluster.deaths` says which calls
kill their actor: method names, each with the numbers of the calls (from 1, counted over all actors).
"""

from __future__ import annotations

import copyreg
import importlib
import io
import pickle
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest


def pack(value: Any) -> bytes:
    """Pickle a value; modules are pickled by name, as Ray does."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.dispatch_table = copyreg.dispatch_table | {
        types.ModuleType: lambda module: (importlib.import_module, (module.__name__,))
    }
    pickler.dump(value)
    return file.getvalue()


class RayError(Exception):
    """A worker or its node died."""


class RayTaskError(RayError):
    """A worker raised an exception."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(eq=False)
class Ref:
    """The pending or finished result of a call, pickled."""

    call: Callable[[], Any] | None = None
    actor: Actor | None = None
    value: bytes = b""
    error: RayError | None = None


@dataclass(eq=False)
class Actor:
    """An actor and its queue of calls, which it runs one after another."""

    cluster: Cluster
    instance: Any
    number: int
    queue: list[Ref] = field(default_factory=list)
    steps: int = 0

    def __getattr__(self, name: str) -> Any:
        return types.SimpleNamespace(remote=lambda *arguments: self._call(name, pack(arguments)))

    def _call(self, name: str, packed: bytes) -> Ref:
        def call() -> Any:
            self.cluster.count(name, self)
            arguments = [pickle.loads(a.value) if isinstance(a, StoredObject) else a for a in pickle.loads(packed)]
            return getattr(self.instance, name)(*arguments)

        ref = Ref(call, self)
        self.queue.append(ref)
        return ref

    def die(self) -> None:
        """Fail all calls in the queue."""
        for ref in self.queue:
            ref.error, ref.call = RayError("The actor died unexpectedly before finishing this task.\nMore."), None
        self.queue.clear()

    def step(self) -> None:
        """Run the next call."""
        ref, self.steps = self.queue[0], self.steps + 1
        assert ref.call is not None
        try:
            ref.value = pack(ref.call())
        except Died:
            self.die()
            return
        except Exception as error:
            ref.error = RayTaskError(error)
        ref.call = None
        self.queue.remove(ref)


@dataclass
class StoredObject:
    """The result of `put`."""

    value: bytes


class Died(BaseException):
    """The process was killed."""


@dataclass
class Cluster:
    """State of the fake cluster that tests set and read.

    Attributes:
        nodes: resources of each node.
        deaths: numbers of the calls that kill their actor, by method.
        calls: number of calls so far, by method.
        actors: all that were created.
        options: those of the last remote class or function.
        connected: whether `init` was called, and `shutdown` was not.
        latest_first: whether, of actors that ran as many calls, the one created last runs first.
    """

    nodes: list[dict[str, float]]
    deaths: dict[str, set[int]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    actors: list[Actor] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    connected: bool = False
    latest_first: bool = False

    def count(self, name: str, actor: Actor) -> None:
        """Count a call; kill the actor if `deaths` says so."""
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.calls[name] in self.deaths.get(name, ()):
            raise Died

    def wait(
        self, refs: Sequence[Ref], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Ref], list[Ref]]:
        """Run the actors in turn until one of `refs` is done."""
        order = self.actors[::-1] if self.latest_first else self.actors
        while not any(ref.call is None for ref in refs) and (busy := [actor for actor in order if actor.queue]):
            min(busy, key=lambda actor: actor.steps).step()
        done = [ref for ref in refs if ref.call is None][:num_returns]
        return done, [ref for ref in refs if ref not in done]

    def get(self, ref: Ref) -> Any:
        """Return the result of a call."""
        if ref.call is not None:
            while ref.call is not None and ref.actor is not None:
                ref.actor.step()
        if ref.error:
            raise ref.error
        return pickle.loads(ref.value)

    def remote(self, kind: Any) -> Any:
        """Make a class or function remote; a function becomes the method `run` of an actor of its own."""

        def create() -> Actor:
            self.actors.append(Actor(self, kind(), len(self.actors)))
            return self.actors[-1]

        def run(*arguments: Any) -> Ref:
            self.actors.append(Actor(self, types.SimpleNamespace(run=kind), len(self.actors)))
            ref: Ref = self.actors[-1].run.remote(*arguments)
            return ref

        def options(**given: Any) -> Any:
            self.options = given
            return types.SimpleNamespace(remote=create if isinstance(kind, type) else run)

        return types.SimpleNamespace(options=options)

    def module(self) -> dict[str, types.ModuleType]:
        """Return the fake modules by name."""
        ray = types.ModuleType("ray")
        facts = {"Alive": True}

        def init(**settings: Any) -> None:
            self.connected = True

        def shutdown() -> None:
            self.connected = False

        vars(ray).update(
            ObjectRef=Ref, init=init, shutdown=shutdown, is_initialized=lambda: self.connected,
            get_runtime_context=lambda: types.SimpleNamespace(gcs_address="here:6379"),
            nodes=lambda: [facts | {"Resources": node} for node in self.nodes],
            put=lambda value: StoredObject(pack(value)), get=self.get, wait=self.wait, remote=self.remote,
            kill=lambda actor: actor.die(), cancel=lambda ref, force: ref.actor.die(),
        )  # fmt: skip
        actor, exceptions = types.ModuleType("ray.actor"), types.ModuleType("ray.exceptions")
        vars(actor).update(ActorHandle=Actor)
        vars(exceptions).update(RayError=RayError, RayTaskError=RayTaskError)
        return {"ray": ray, "ray.actor": actor, "ray.exceptions": exceptions}


def install_fake_ray(monkeypatch: pytest.MonkeyPatch, nodes: Sequence[dict[str, float]]) -> Cluster:
    """Make `import ray` return the fake module, with these nodes, until the test ends."""
    cluster = Cluster(list(nodes))
    for name in [name for name in sys.modules if name.startswith("vtbench_ray.") or name.partition(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)
    for name, module in cluster.module().items():
        monkeypatch.setitem(sys.modules, name, module)
    return cluster
