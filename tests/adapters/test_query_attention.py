"""The attention maps of queries are the attention that the modules themselves compute."""

from __future__ import annotations

import pytest
import tiny_models
import torch

from vtbench.errors import AdapterError
from vtbench_families.flamingo import Flamingo
from vtbench_families.qformer import QFormer


@pytest.mark.parametrize(("kind", "name"), [(Flamingo, "idefics"), (QFormer, "blip-2")])
def test_every_query_shares_out_its_attention_over_the_encoders_tokens(kind, name):
    adapter = kind(tiny_models.loaded(name))
    samples = tiny_models.batch()
    share = adapter.attention_map(samples)
    connector, encoder = adapter.visual_tokens(samples, ["connector", "encoder"])
    assert connector.boxes is None
    assert share.shape == (3, connector.tokens.shape[1], len(encoder.boxes))
    torch.testing.assert_close(share.sum(-1), torch.ones(3, share.shape[1]))
    torch.testing.assert_close(adapter.attention_map(samples[1:2]), share[1:2], atol=1e-5, rtol=1e-4)
    assert (share[0] - share[0].mean(0)).abs().max() > 1e-4, "all queries have one attention map"


def test_a_q_formers_map_is_the_attention_that_transformers_gives():
    adapter = QFormer(tiny_models.loaded("blip-2"))
    samples = tiny_models.batch()
    share = adapter.attention_map(samples)
    model = adapter.model
    model.qformer.set_attn_implementation("eager")
    seen = adapter.visual_tokens(samples, ["encoder"])[0].tokens
    with torch.no_grad():
        run = model.qformer(
            query_embeds=model.query_tokens.expand(3, -1, -1), encoder_hidden_states=seen, output_attentions=True
        )
    given = torch.stack([weights for weights in run.cross_attentions if weights is not None]).mean((0, 2))
    torch.testing.assert_close(share, given, atol=1e-5, rtol=1e-4)


def test_a_resamplers_map_is_its_formulas():
    """Attention over patches and queries together, as the module writes it, the queries' part left out."""
    adapter = Flamingo(tiny_models.loaded("idefics"))
    resampler = adapter.model.model.perceiver_resampler
    calls = []
    hooks = [
        read.register_forward_hook(lambda module, args, _: calls.append((module, *args)))
        for read, _ in resampler.blocks
    ]
    share = adapter.attention_map(tiny_models.batch())
    for hook in hooks:
        hook.remove()
    total = torch.zeros_like(share)
    for read, patches, latents in calls:
        latents = read.latents_layer_norm(latents)
        keys = read.k_proj(torch.cat([read.context_layer_norm(patches), latents], 1))
        for head in range(read.n_heads):
            part = slice(head * read.head_dim, (head + 1) * read.head_dim)
            scores = torch.einsum("bnd,bmd->bnm", read.q_proj(latents)[..., part], keys[..., part])
            total += (
                (scores / read.head_dim**0.5)
                .exp()
                .div((scores / read.head_dim**0.5).exp().sum(-1, True))[..., : patches.shape[1]]
            )
    torch.testing.assert_close(share, (total / total.sum(-1, keepdim=True)).detach(), atol=1e-5, rtol=1e-4)


def test_a_checkpoint_without_a_resampler_has_boxes_instead():
    loaded = tiny_models.loaded("idefics")
    loaded.model.config.use_resampler = False
    adapter = Flamingo(loaded)
    with pytest.raises(AdapterError, match="has no resampler: its tokens have boxes"):
        adapter.attention_map(tiny_models.batch())
    (visual,) = adapter.visual_tokens(tiny_models.batch(), ["connector"])
    assert visual.boxes.shape == (visual.tokens.shape[1], 4)
