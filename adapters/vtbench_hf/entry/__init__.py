"""How images enter a decoder, found out by a probe, so that any checkpoint gives its visual tokens.

Whatever the architecture, the decoder is called with one embedding for each token of the prompt. Two images that differ
in every pixel change some of these embeddings and leave the others: the ones that change are the visual tokens. Some
models add rows of the image to the hidden states of later layers too (DeepStack, Meng et al. 2024); these are found in
the same way. `probe` finds it out once for each checkpoint, `decoder_call` takes the decoder's arguments of a batch,
`reduction` makes the shorter call under a token budget, `reading` lets the model read a batch's prompts once for all
queries, `shared_features` does the same for its images, `boxes` measures which part of the image each token stands for,
`parts` splits the parameters for training.
"""
