"""Model types of transformers' image-text mapping that have no tiny checkpoint, and why."""

from __future__ import annotations

from collections.abc import Mapping

NOT_BUILT: Mapping[str, str] = {}
