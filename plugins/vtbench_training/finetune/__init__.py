"""Fine-tuning of a model on task families, through its adapter.

settings -> trainer -> base_model, family_items -> item_batches -> trainable (answer_logits, penalties) -> penalty_check
"""
