"""What the flags of redundancy scores mean, a sentence each, with what to do."""

from __future__ import annotations

FLAGS = {
    "few_images": "under 300 images, or without a value under 50: use more, 2,000 for a figure to quote",
    "reduced": "too few images for the whole protocol, so fewer tokens or coordinates were measured; use 1,000 or more",
    "unconverged": "parts of the images show a bias above the standard error; use more images before you quote it",
    "low_information": "the tokens' information is under 3 standard errors: too little to say how it is shared",
    "synergy": "tokens together say more than the sum of each: RS and its whole interval are below 0",
    "subset": "there are more tokens than are measured together, and no positions to average them by",
    "across_cells": "tokens lie across the edges of the 8 x 8 cells in which they are averaged, which loses some: "
    "`discarded` is too high, by .07 to .15 for tokens that lose nothing",
    "few_tokens": "there are fewer than 16 tokens, so the effective number of 16 is not defined",
    "few_clusters": "too few scenes for ten groups: the interval takes images as independent and is too narrow",
    "constant_tokens": "no token varies between images: look whether the model reads the image at all",
    "constant_images": "all images are the same, so there is nothing to know about them",
    "constant_cues": "all scenes have the same objects at the same places, so there is nothing to know about them",
    "no_patches": "there are no image patches to compare with",
    "no_conditioning": "there is no mean colour to condition on",
    "pooled": "images have unequal numbers of tokens, which were averaged to one grid",
    "one_token_count": "images have unequal numbers of tokens and no common grid: only the most frequent number counts",
    "partial_path": "the image enters the decoder by a further path too, which these tokens do not show",
    "no_signal": "the image adds nothing to accuracy, so there is nothing for fewer tokens to retain",
    "at_most": "even the smallest share of tokens retains 95 % of the accuracy: the value is an upper bound",
}
