"""Small trained models of several architectures, as data: one checkpoint a directory, named after its adapter.

All were made by `vtbench pretrain --model NAME`, on the same images and questions in the same order and for as many
steps as the LLaVA that comes with vtbench; each directory's README.md has its recipe and its scores.
"""

__version__ = "0.1.0"
