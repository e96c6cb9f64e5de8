"""A tokenizer as Fuyu's processor wants it: whole words with the space before them, letters, bytes for all else.

The processor writes its placeholders as text, throws the first token of it away (the space that such tokenizers put
before everything) and ends a prompt with `<0x04>`, so that no byte-level tokenizer will do.
"""

from __future__ import annotations

import re
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from vtbench_training.vocabulary import sentences

SPACE = "\u2581"


def piece_tokenizer(*special: str) -> Any:
    """Return the tokenizer, the same each time; `special` are pieces of their own.

    A text costs as few pieces as can be: a word of the benchmark is one piece, any other its letters or bytes.
    """
    words = sorted({word for text in sentences() for word in re.findall(r"[A-Za-z]+", text)})
    words = [word for word in words if len(word) > 1 and word != "ASSISTANT"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [(token, 0.0) for token in ("<pad>", "<s>", "</s>", *special)]
    pieces += [(f"<0x{byte:02X}>", -1.0) for byte in range(256)]
    pieces += [(SPACE, -1.0), *((letter, -1.0) for letter in letters), *((SPACE + c, -1.0) for c in letters)]
    pieces += [(SPACE + word, -1.0) for word in words]
    backend = Tokenizer(models.Unigram(pieces, 0, True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
