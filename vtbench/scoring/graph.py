"""Parses scene graphs: the line grammar, what models make of it, and JSON with the same content.

    1 large red striped circle ; 2 small blue solid square | 1 left 2

The parser accepts any text, in linear time, and never raises.
"""

from __future__ import annotations

from vtbench.scoring.graph_json import read_json
from vtbench.scoring.graph_line import is_dressed, read_dressed, read_line
from vtbench.scoring.graph_parts import ATTRIBUTES, Described, Graph, canonical, graph_of

__all__ = ["ATTRIBUTES", "Described", "Graph", "canonical", "parse_graph"]


def parse_graph(text: str | None) -> Graph:
    """Parse a scene graph; case, spacing, synonyms, `,` or line ends for `;`, and `left of` for `left` are tolerated.

    A text that does not fit the bare grammar is read as JSON if it has a document with objects, else as models write
    the grammar: with Markdown, numbered lines or sentences around it. If some items do not fit, the others still count,
    and the graph is not `well_formed`.
    """
    text = text or ""
    graph = graph_of(read_line(text))
    if graph.well_formed or not is_dressed(text):
        return graph
    items = read_json(text)
    return graph_of(read_dressed(text) if items is None else items)
