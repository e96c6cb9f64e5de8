"""Settings of the image processor, packages that processors need, and checkpoints with code of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_models
import transformers as tf

from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench.runs.provenance import model_identity
from vtbench_hf import hf
from vtbench_hf.checkpoint import packages
from vtbench_hf.checkpoint.config import checked_config
from vtbench_hf.checkpoint.packages import missing_packages
from vtbench_hf.checkpoint.processor import backend_of

CODE = """
from transformers import LlavaConfig, LlavaForConditionalGeneration

class OwnConfig(LlavaConfig):
    model_type = "own_llava"

class OwnModel(LlavaForConditionalGeneration):
    config_class = OwnConfig
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoints")
    return {kind: tiny_models.save(kind, directory / kind) for kind in ("llava", "qwen2_vl")}


@pytest.fixture
def own(checkpoints, tmp_path, monkeypatch):
    """A checkpoint whose model is its own code."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    directory = shutil.copytree(checkpoints["llava"], tmp_path / "own")
    (directory / "modeling_own.py").write_text(CODE)

    def named(auto_class, **more):
        config = json.loads((checkpoints["llava"] / "config.json").read_text())
        classes = {"AutoConfig": "modeling_own.OwnConfig", auto_class: "modeling_own.OwnModel"}
        config |= {"model_type": "own_llava", "architectures": ["OwnModel"], "auto_map": classes, **more}
        (directory / "config.json").write_text(json.dumps(config))
        return str(directory)

    return named


def load(checkpoint, kind="llava", **arguments):
    return Registry().adapter(tiny_models.ADAPTERS.get(kind, "hf"), {"pretrained": str(checkpoint), **arguments})


def test_pixels_decide_the_number_of_visual_tokens(checkpoints):
    sample = tiny_models.sample(0, "where?", size=(112, 112))

    def tokens(**arguments):
        adapter = load(checkpoints["qwen2_vl"], "qwen2_vl", **arguments)
        return adapter.generate([sample], 1)[0].visual_tokens_in, adapter.describe()

    plain, described = tokens()
    fewer, of_fewer = tokens(max_pixels=56 * 56)
    more, of_more = tokens(min_pixels=224 * 224, max_pixels=224 * 224)
    assert (plain, fewer, more) == (16, 4, 64)
    assert of_fewer["loading"]["images"]["max_pixels"] == 56 * 56
    assert len({json.dumps(model_identity(each), sort_keys=True) for each in (described, of_fewer, of_more)}) == 3


def test_a_size_is_taken_in_the_processors_own_form(checkpoints):
    adapter = load(checkpoints["llava"], size={"shortest_edge": 28}, use_fast=False)
    assert adapter.processor.image_processor.size["shortest_edge"] == 28
    assert adapter.describe()["loading"] == {"images": {"size": {"shortest_edge": 28}}}


def test_the_backend_can_be_chosen_and_is_part_of_the_identity(checkpoints):
    pytest.importorskip("torchvision")
    pillow = load(checkpoints["llava"], use_fast=False)
    fast = load(checkpoints["llava"], use_fast="true")
    assert [backend_of(each.processor.image_processor) for each in (pillow, fast)] == ["pil", "torchvision"]
    assert "loading" not in pillow.describe()
    assert fast.describe()["loading"] == {"images": {"backend": "torchvision"}}


def test_the_shipped_model_is_shown_images_by_pillow_whatever_is_installed():
    shipped = Registry().adapter("llava", {})
    assert backend_of(shipped.processor.image_processor) == "pil"
    assert "loading" not in shipped.describe()


@pytest.mark.parametrize("auto_class", ["AutoModelForImageTextToText", "AutoModelForCausalLM", "AutoModel"])
def test_own_code_is_loaded_under_any_auto_class(own, checkpoints, auto_class):
    adapter = hf(pretrained=own(auto_class), device="cpu", trust_remote_code=True)
    assert adapter.describe()["architecture"] == "OwnModel"
    expected = hf(pretrained=str(checkpoints["llava"]), device="cpu")
    assert [o.text for o in adapter.generate(tiny_models.batch(), 5)] == [
        o.text for o in expected.generate(tiny_models.batch(), 5)
    ]


def refusal(pretrained, **arguments) -> str:
    with pytest.raises(AdapterError) as caught:
        hf(pretrained=str(pretrained), device="cpu", **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_own_code_is_not_run_unless_asked_for(own):
    directory = own("AutoModel")
    assert "comes with code of its own, which trust_remote_code=true runs" in refusal(directory)
    assert "not an image-text model" in refusal(own("AutoModelForSequenceClassification"), trust_remote_code=True)


def test_own_code_that_generates_nothing_is_refused(own):
    directory = own("AutoModel")
    code = CODE + "    generate = None\n"
    Path(directory, "modeling_own.py").write_text(code)
    assert "OwnModel, generates no text" in refusal(directory, trust_remote_code=True)


def test_packages_that_own_code_imports_are_named(own):
    directory = Path(own("AutoModel"))
    (directory / "modeling_own.py").write_text("import nowhere_one\nimport nowhere_two\n" + CODE)
    message = refusal(directory, trust_remote_code=True)
    assert "needs nowhere_one and nowhere_two; install: pip install nowhere_one nowhere_two" in message


def test_a_type_that_only_the_multimodal_mapping_knows_is_loaded_by_it(tmp_path):
    tf.Phi4MultimodalConfig().save_pretrained(tmp_path)
    known = checked_config("hf", str(tmp_path), {"trust_remote_code": False}, (), ())
    assert known.auto_class is tf.AutoModelForMultimodalLM
    assert known.model_type == "phi4_multimodal"


@pytest.mark.parametrize(
    ("error", "lacking", "named"),
    [
        (ImportError("X requires the Torchvision library but it was not found"), {"torchvision"}, ["torchvision"]),
        (ImportError("X requires the Torchvision library but it was not found"), set(), []),
        (ImportError("Package `num2words` is required to run SmolVLM"), {"num2words"}, ["num2words"]),
        (
            ImportError("\nX requires the timm library but it was not found.\nX requires the Torchvision library"),
            {"timm", "torchvision"},
            ["timm", "torchvision"],
        ),
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), {"cv2"}, ["opencv-python"]),
        (ValueError("no timm"), {"timm"}, []),
    ],
)
def test_missing_packages_are_read_from_the_error(monkeypatch, error, lacking, named):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in lacking else object())
    assert missing_packages(error) == named
    outer = OSError("cannot load")
    outer.__cause__ = error
    assert missing_packages(outer) == named
