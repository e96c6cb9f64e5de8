"""Pretraining of a small model from random weights, in the stages of a recipe.

recipe -> pipeline -> scene_stream -> a stage (vision_stage, answer_stage, caption_stage) -> model_card

`vision_stage` trains the vision tower on dense labels. `answer_stage` trains connector and decoder on questions
(curriculum), `caption_stage` on captions; both pack several texts about an image into a row (packing), run the model
once over all of them (packed_forward) and train the grounding_head beside it. A decoder that was pretrained elsewhere
takes the place of the random one (small_models/pretrained_decoder). `caption_scores`, `model_card` and `decoder_card`
evaluate the result.
"""
