"""Requests, as lmms-eval 0.7 has them."""

from dataclasses import dataclass, field


@dataclass
class GenerationResult:
    text: str
    token_counts: object = None


@dataclass
class Instance:
    request_type: str
    arguments: tuple
    idx: int
    metadata: dict = field(default_factory=dict)

    @property
    def args(self):
        return self.arguments


def unwrap_generation_output(output):
    return (output, None) if isinstance(output, str) else (output.text, output.token_counts)
