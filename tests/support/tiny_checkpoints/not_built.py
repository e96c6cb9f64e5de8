"""Model types of transformers' image-text mapping that have no tiny checkpoint, and why."""

from __future__ import annotations

from collections.abc import Mapping

NOT_BUILT: Mapping[str, str] = {
    "evolla": "it reads proteins and no images",
    "instructblipvideo": "its processor takes videos and no images",
    "mistral4": "a language model without images, whose image-text checkpoints have the model type mistral3",
    "pi0": "it returns a robot's actions and no text",
    "pp_formulanet": "it transcribes an image and takes no prompt",
    "udop": "it wants an image's words and their boxes beside the image",
    "vision-encoder-decoder": "it transcribes an image and takes no prompt",
}
