"""What the scores of visual tokens are, a sentence each; docs/glossary.md says what to do with them."""

from __future__ import annotations

SCORES = {
    "rs": "Redundancy Score: share of the information about the image, summed token by token, that is lost to "
    "repetition when the tokens are read together. It depends on the number m of tokens measured together: compare it "
    "at one m only.",
    "n_eff_16": "How many tokens that repeat nothing would say as much as 16 of these, drawn at random.",
    "discarded": "Share of the image's information that a linear reader does not find in the tokens.",
    "cue_information": "Nats that the tokens say about which objects there are and where.",
    "r_pix": "Redundancy of the image's own patches.",
    "delta_rs": "RS minus the redundancy of the image's own patches.",
    "n_eff": "m (1 - RS): how many tokens of average information, repeating nothing, say as much as the m together.",
    "rs_given_colour": "RS given the image's mean colour.",
    "rs_LAYER": "Redundancy Score of the tokens at this layer; compare layers at one m only.",
    "discarded_LAYER": "Share of the image's information that a linear reader does not find at this layer.",
    "cue_information_LAYER": "Nats that the tokens at this layer say about which objects there are and where.",
    "carriers": "How many tokens carry a part of the image.",
    "uncarried": "Share of the image's parts about which no token says more than chance.",
    "unique": "Share of a token's information that no other token has.",
    "dead": "Share of tokens that say nothing about the image.",
    "sink": "Share of tokens with an outlying norm.",
    "effective_rank_rel": "Effective rank of an image's tokens, as a ratio to that of random tokens.",
    "participation_rel": "Participation ratio of an image's tokens, as a ratio to that of random tokens.",
    "stable_rank_rel": "Stable rank of an image's tokens, as a ratio to that of random tokens.",
    "cosine_excess": "Mean cosine between an image's tokens, minus that of random tokens.",
    "norm_gini_excess": "Inequality of the norms of an image's tokens, minus that of random tokens.",
    "drop_area": "Share of what the image adds to the answers that stays as tokens are dropped at random.",
    "drop_area_grid": "Share of what the image adds to the answers that stays as tokens are dropped on a grid.",
    "drop_area_downsample": "Share of what the image adds to the answers that stays as tokens are averaged to fewer.",
    "drop_f95": "Share of the tokens that keeps 95 % of what the image adds to the answers; less is better.",
}
