"""A Ray of one process, for tests of what vtbench does with it: actors that answer when waited for, and that can die.

Only what vtbench_ray uses is there. Everything that goes to an actor or comes back is pickled, as in a cluster. A test
says who dies by `deaths`: names of methods, with the number of the call (from 1, over all actors) that ends the actor.
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
    """Pickle, modules by name, as Ray does."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.dispatch_table = copyreg.dispatch_table | {
        types.ModuleType: lambda module: (importlib.import_module, (module.__name__,))
    }
    pickler.dump(value)
    return file.getvalue()


class RayError(Exception):
    """A worker or its node is gone."""


class RayTaskError(RayError):
    """What a worker raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(eq=False)
class Ref:
    """Something that is to come: pickled when it is there."""

    call: Callable[[], Any] | None = None
    actor: Actor | None = None
    value: bytes = b""
    error: RayError | None = None


@dataclass(eq=False)
class Actor:
    """An actor and its calls, which are answered one after another."""

    cluster: Cluster
    body: Any
    number: int
    queue: list[Ref] = field(default_factory=list)
    steps: int = 0

    def __getattr__(self, name: str) -> Any:
        return types.SimpleNamespace(remote=lambda *arguments: self._ask(name, pack(arguments)))

    def _ask(self, name: str, packed: bytes) -> Ref:
        def call() -> Any:
            self.cluster.count(name, self)
            arguments = [pickle.loads(a.value) if isinstance(a, Held) else a for a in pickle.loads(packed)]
            return getattr(self.body, name)(*arguments)

        ref = Ref(call, self)
        self.queue.append(ref)
        return ref

    def die(self) -> None:
        """Take all that was asked along."""
        for ref in self.queue:
            ref.error, ref.call = RayError("The actor died unexpectedly before finishing this task.\nMore."), None
        self.queue.clear()

    def step(self) -> None:
        """Answer the next call."""
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
class Held:
    """What `put` returned."""

    value: bytes


class Died(BaseException):
    """The process was killed."""


@dataclass
class Cluster:
    """What a test sees: the nodes, who may die, and whether, of those that did as much, later actors answer first."""

    nodes: list[dict[str, float]]
    deaths: dict[str, set[int]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    actors: list[Actor] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    connected: bool = False
    latest_first: bool = False

    def count(self, name: str, actor: Actor) -> None:
        """Note a call; end the actor if the test says so."""
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.calls[name] in self.deaths.get(name, ()):
            raise Died

    def wait(
        self, refs: Sequence[Ref], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Ref], list[Ref]]:
        """Let actors work, in turn, until one of `refs` is there."""
        order = self.actors[::-1] if self.latest_first else self.actors
        while not any(ref.call is None for ref in refs) and (busy := [actor for actor in order if actor.queue]):
            min(busy, key=lambda actor: actor.steps).step()
        done = [ref for ref in refs if ref.call is None][:num_returns]
        return done, [ref for ref in refs if ref not in done]

    def get(self, ref: Ref) -> Any:
        """Return what came."""
        if ref.call is not None:
            while ref.call is not None and ref.actor is not None:
                ref.actor.step()
        if ref.error:
            raise ref.error
        return pickle.loads(ref.value)

    def remote(self, kind: Any) -> Any:
        """Make a class or a function remote; a function is the only method, `run`, of an actor of its own."""

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
        """Return what `import ray` finds."""
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
            put=lambda value: Held(pack(value)), get=self.get, wait=self.wait, remote=self.remote,
            kill=lambda actor: actor.die(), cancel=lambda ref, force: ref.actor.die(),
        )  # fmt: skip
        actor, exceptions = types.ModuleType("ray.actor"), types.ModuleType("ray.exceptions")
        vars(actor).update(ActorHandle=Actor)
        vars(exceptions).update(RayError=RayError, RayTaskError=RayTaskError)
        return {"ray": ray, "ray.actor": actor, "ray.exceptions": exceptions}


def pretend(monkeypatch: pytest.MonkeyPatch, nodes: Sequence[dict[str, float]]) -> Cluster:
    """Let `import ray` find this one, on these nodes, until the test is over."""
    cluster = Cluster(list(nodes))
    for name in [name for name in sys.modules if name.startswith("vtbench_ray.") or name.partition(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)
    for name, module in cluster.module().items():
        monkeypatch.setitem(sys.modules, name, module)
    return cluster
