"""What the scores of answer metrics are, a sentence each; docs/glossary.md says what to do with them."""

from __future__ import annotations

SCORES = {
    "acc": "Share of answers that are right; compare it with chance.",
    "rank_acc": "Share of questions whose right answer is the most likely choice to the model.",
    "rank_acc_norm": "Share of questions whose right answer is the most likely choice, by log-probability per token.",
    "pair_acc": "Share of minimal pairs, which differ in one fact, with both answers right.",
    "group_acc": "Share of groups with all answers right.",
    "question_acc": "Share of questions that are right on all of their images.",
    "image_acc": "Share of images with all of their questions right.",
    "macro_acc": "Mean of the accuracies of the kinds of question.",
    "f1": "F1 of the answer yes.",
    "yes_share": "How often the answer is yes; the true share is in the score's details.",
    "mean@K": "Mean credit of K drawn answers.",
    "pass@K": "Share of questions with a right answer among K: a bound, as somebody must pick the right one.",
    "threshold_75": "Offset of two objects, in % of the image, at which 75 % of the answers are right; less is better.",
    "tuple_f1": "F1 of a scene description over objects, attributes and relations.",
    "object_f1": "F1 of the described objects.",
    "attribute_acc": "Share of the matched objects' attributes that are right.",
    "relation_f1": "F1 of the described relations.",
    "exact_graph": "Share of scene descriptions that are right as a whole.",
    "parse_rate": "Share of scene descriptions that fit the grammar.",
    "hallucinated": "Share of described objects that are not in the scene; less is better.",
    "cut": "Share of answers that ended at max_new_tokens; less is better.",
    "unparsed": "Share of answers that no rule could read; they count as wrong.",
}
