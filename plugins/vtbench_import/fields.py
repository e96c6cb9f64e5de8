"""Compiles a key of the task config (`doc_to_text`, `doc_to_target`, ...) to a function of a row.

A key holds the name of a column, a Jinja template over the columns, a constant, or code. Templates come from the
author of the task: they run in Jinja's sandbox, which gives access to the row alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from vtbench.errors import SampleError, nearest
from vtbench_import.code_loader import CodeLoader
from vtbench_import.dataset import Row, cell
from vtbench_import.harness import Harness
from vtbench_import.task_config import Function, TaskConfig

Field = Callable[[Row], Any]
_WORD = re.compile(r"[A-Za-z_]\w*")


class FieldCompiler:
    """Compiles the keys of one task config.

    Args:
        config: the task config.
        harness: whose it is.
        columns: names of the data's columns.
        code: loads functions.
    """

    def __init__(self, config: TaskConfig, harness: Harness, columns: tuple[str, ...], code: CodeLoader) -> None:
        self.columns = columns
        self._config, self._code = config, code
        self._jinja = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=harness.keep_trailing_newline
        )
        self._jinja.filters["regex_replace"] = _regex_replace

    def text(self, key: str, *settings: Any) -> Field:
        """Compile a key to its plain value: the cell of a column, the text of a template, or a constant.

        Args:
            key: of the task config.
            settings: further arguments of a function, after the row.

        Raises:
            TaskError: the template is malformed, code may not run, or a single word names no column.
        """
        value = self._config.get(key)
        if isinstance(value, Function):
            return self.function(value, key, *settings)
        if not isinstance(value, str):
            return lambda row: value
        if value in self.columns:
            return lambda row: cell(row, value)
        if _WORD.fullmatch(value):
            raise self._config.error(f"the data has no column {value!r}.{nearest(value, list(self.columns))}", key)
        return self._template(value, key)

    def literal(self, key: str) -> Field:
        """Compile a key whose template renders a Python literal, e.g. a list of choices.

        Raises:
            TaskError: as for `text`.
        """
        field, value = self.text(key), self._config.get(key)
        if not isinstance(value, str) or value in self.columns:
            return field

        def parse(row: Row) -> Any:
            text = field(row)
            try:
                return ast.literal_eval(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                raise SampleError(f"{key}: {text[:80]!r} is not a list as Python writes it") from None

        return parse

    def load(self, function: Function, key: str) -> Callable[..., Any]:
        """Load the function that a key names.

        Raises:
            TaskError: code may not run, or there is no such function.
        """
        return self._code.load(function, key)

    def function(self, function: Function, key: str, *settings: Any) -> Field:
        """Compile a key that names a function; whatever it raises becomes the error of that sample.

        Raises:
            TaskError: code may not run, or there is no such function.
        """
        call = self.load(function, key)

        def run(row: Row) -> Any:
            try:
                return call(row, *settings)
            except Exception as error:  # whatever the task's code raises
                text = " ".join(f"{type(error).__name__}: {error}".split())
                raise SampleError(f"{key}: {function.name} raised {text}") from error

        return run

    def _template(self, text: str, key: str) -> Field:
        try:
            template = self._jinja.from_string(text)
            names = meta.find_undeclared_variables(self._jinja.parse(text))
        except TemplateSyntaxError as error:
            raise self._config.error(f"not a Jinja template: {error.message}", key) from None

        def render(row: Row) -> str:
            try:
                # Only the columns that the template uses: reading an image column decodes its images.
                return template.render({name: cell(row, name) for name in names if name in row})
            except SecurityError as error:
                raise self._config.error(f"the template accesses more than its row: {error}", key) from None
            except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
                columns = ", ".join(self.columns)
                raise SampleError(f"{key}: the template cannot be rendered: {error}; columns: {columns}") from None

        return render


def _regex_replace(string: str, pattern: str, repl: str, count: int = 0) -> str:
    """Replace matches of a pattern: the filter that both harnesses add to Jinja."""
    return re.sub(pattern, repl, string, count=count)
