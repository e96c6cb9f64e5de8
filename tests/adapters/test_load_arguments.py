"""Factories that take LoadArguments: their parameters, defaults and docstrings."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.settings import help_texts
from vtbench_families import FAMILIES
from vtbench_hf.checkpoint.arguments import LoadArguments, with_load_arguments


@with_load_arguments(without=["trust_remote_code"], image_size="side in pixels.", device="where it runs.")
def tiny(arguments: LoadArguments, *, image_size: int = 28) -> tuple[LoadArguments, int]:
    """A tiny model.

    It does nothing.
    """
    return arguments, image_size


def test_the_fields_are_keyword_parameters_with_their_defaults():
    parameters = inspect.signature(tiny).parameters
    names = [field.name for field in fields(LoadArguments) if field.name != "trust_remote_code"]
    assert list(parameters) == [*names, "image_size"]
    defaults = {field.name: field.default for field in fields(LoadArguments)}
    assert all(parameters[name].default == defaults[name] for name in names)
    assert tiny() == (LoadArguments(), 28)
    assert tiny(pretrained="here", dtype="bf16", image_size=56) == (LoadArguments(pretrained="here", dtype="bf16"), 56)


@pytest.mark.parametrize("given", [{"trust_remote_code": True}, {"pretrainde": "here"}])
def test_a_parameter_that_it_does_not_have_is_refused(given):
    with pytest.raises(TypeError, match=next(iter(given))):
        tiny(**given)


def test_the_docstring_keeps_its_summary_and_gets_every_parameter():
    text = inspect.getdoc(tiny)
    assert text.startswith("A tiny model.\n\nIt does nothing.\n\nArgs:\n    pretrained: directory of a checkpoint")
    assert "    device: where it runs.\n" in text
    assert "    image_size: side in pixels.\n" in text
    assert "trust_remote_code" not in text


def test_every_field_has_a_help_text():
    assert all(text.endswith(".") for text in help_texts(LoadArguments).values())


@pytest.mark.parametrize("adapter", ["hf", "llava", *FAMILIES])
def test_the_adapters_factories_document_what_they_take(adapter):
    factory = Registry().named("model")[adapter].factory
    parameters, text = inspect.signature(factory).parameters, inspect.getdoc(factory)
    assert set(parameters) >= {"pretrained", "revision", "dtype", "device", "attn_implementation", "chat_template"}
    assert ("trust_remote_code" in parameters) == (adapter in ("hf", "llava"))
    assert ("image_size" in parameters) == (adapter in FAMILIES)
    hosts = {"generation", "chat_template_args"}  # passed by the host, so the user is not told of them
    assert {name for name in parameters if f"    {name}: " not in text} == hosts


def test_an_unknown_model_arg_is_refused_with_the_nearest_name():
    with pytest.raises(VtbenchError, match=r"model 'qwen2_vl' has no setting 'pretraind'.*pretrained"):
        Registry().check_adapter("qwen2_vl", {"pretraind": "x"})
