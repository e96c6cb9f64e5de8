"""What a key says of a row: `doc_to_text` and the like in, a function of a row out.

A key holds the name of a column, a Jinja template over the columns, a constant, or code. Templates come from
strangers: they run in Jinja's sandbox, which reaches nothing but the row.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from vtbench.errors import SampleError, nearest
from vtbench_import.code import Code
from vtbench_import.harness import Harness
from vtbench_import.recipe import Function, Recipe
from vtbench_import.rows import Row

Field = Callable[[Row], Any]
_BARE = re.compile(r"[A-Za-z_]\w*")


class Fields:
    """Makes functions of a row from the keys of one task file.

    Args:
        recipe: the task file.
        harness: whose it is.
        columns: of its rows.
        code: its code.
    """

    def __init__(self, recipe: Recipe, harness: Harness, columns: tuple[str, ...], code: Code) -> None:
        self.columns = columns
        self._recipe, self._code = recipe, code
        self._jinja = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=harness.keeps_last_newline
        )
        self._jinja.filters["regex_replace"] = _regex_replace

    def text(self, key: str, *settings: Any) -> Field:
        """Return what `key` says as it stands: a column's value, a template's text, a constant.

        Args:
            key: of the task file.
            settings: what code gets beside the row.

        Raises:
            TaskError: the template is none, code may not run, or a single word is no column.
        """
        value = self._recipe.get(key)
        if isinstance(value, Function):
            return self.code(value, key, *settings)
        if not isinstance(value, str):
            return lambda row: value
        if value in self.columns:
            return lambda row: row[value]
        if _BARE.fullmatch(value):
            raise self._recipe.error(f"the data has no column {value!r}.{nearest(value, list(self.columns))}", key)
        return self._template(value, key)

    def literal(self, key: str) -> Field:
        """Return what `key` says, a template's text read as a Python literal: a list of choices, say.

        Raises:
            TaskError: as for `text`.
        """
        field, value = self.text(key), self._recipe.get(key)
        if not isinstance(value, str) or value in self.columns:
            return field

        def read(row: Row) -> Any:
            text = field(row)
            try:
                return ast.literal_eval(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                raise SampleError(f"{key}: {text[:80]!r} is not a list as Python writes it") from None

        return read

    def load(self, function: Function, key: str) -> Callable[..., Any]:
        """Return the function that a key names.

        Raises:
            TaskError: code may not run, or there is no such function.
        """
        return self._code.load(function, key)

    def code(self, function: Function, key: str, *settings: Any) -> Field:
        """Return what code says of a row; whatever it raises is that sample's error.

        Raises:
            TaskError: code may not run, or there is no such function.
        """
        call = self.load(function, key)

        def run(row: Row) -> Any:
            try:
                return call(row, *settings)
            except Exception as problem:  # whatever a stranger's code raises
                text = " ".join(f"{type(problem).__name__}: {problem}".split())
                raise SampleError(f"{key}: {function.name} raised {text}") from problem

        return run

    def _template(self, text: str, key: str) -> Field:
        try:
            template = self._jinja.from_string(text)
        except TemplateSyntaxError as problem:
            raise self._recipe.error(f"not a Jinja template: {problem.message}", key) from None

        def render(row: Row) -> str:
            try:
                return template.render(**row)
            except SecurityError as problem:
                raise self._recipe.error(f"the template reaches too far: {problem}", key) from None
            except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as problem:
                columns = ", ".join(self.columns)
                raise SampleError(f"{key}: the template cannot be filled in: {problem}; columns: {columns}") from None

        return render


def _regex_replace(string: str, pattern: str, repl: str, count: int = 0) -> str:
    """The filter that both harnesses add to Jinja."""
    return re.sub(pattern, repl, string, count=count)
