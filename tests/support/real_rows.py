"""Some 20 rows for each task that ships over photographs: the columns of the data set, images drawn by us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from stored_data import dataset, png

Rows = list[dict[str, Any]]


def drawn(*seed: int) -> dict[str, Any]:
    """Return an image as `datasets` stores it, another one for each seed."""
    value = sum(part * step for part, step in zip(seed, (37, 101), strict=False)) + 1
    return {"bytes": png((value * 31 % 256, value * 77 % 256, value * 131 % 256)), "path": None}


def lettered(options: list[str]) -> str:
    return "\n".join(f"({'ABCD'[n]}) {option}" for n, option in enumerate(options))


def cv_bench() -> Rows:
    rows = []
    for i in range(21):
        source = ("ADE20K", "COCO", "Omni3D")[i * 5 % 7 % 3]
        options = [str(n) for n in range(2 + i % 3)]
        question = f"How many chairs, image {i}?"
        rows.append(
            {
                "idx": i,
                "source": source,
                "type": "3D" if source == "Omni3D" else "2D",
                "task": "Depth" if source == "Omni3D" else "Count",
                "image": drawn(i),
                "prompt": f"{question} Select from the following choices.\n{lettered(options)}",
                "choices": options,
                "answer": f"({'ABCD'[i % len(options)]})",
            }
        )
    return rows


def pope() -> Rows:
    categories = ("adversarial", "popular", "random")
    return [
        {
            "question_id": str(i // 3),
            "question": f"Is there a cup in the image {i}?",
            "answer": ("yes", "no")[i // 3 % 2],
            "image": drawn(i),
            "category": categories[i % 3],
        }
        for i in range(21)
    ]


def naturalbench() -> Rows:
    rows: Rows = []
    for group in range(5):
        yes_no = group != 3
        answers = ("Yes", "No") if yes_no else ("A", "B")
        for place in range(4):
            question, image = divmod(place, 2)
            text = f"Is it open, group {group}, question {question}?"
            rows.append(
                {
                    "Index": str(4 * group + place),
                    "Image": drawn(group, image),
                    "Question": text if yes_no else f"{text} Option:A:open;B:closed;",
                    "Question_Type": "yes_no" if yes_no else "multiple_choice",
                    "Answer": answers[question != image],
                }
            )
    return rows


def mmvp() -> Rows:
    return [
        {
            "index": i + 1,
            "image": drawn(i),
            "question": f"Are the wings open, pair {i // 2}?",
            "options": "(a) Open (b) Closed",
            "answer": ("(a)", "(b)")[i % 2],
        }
        for i in range(20)
    ]


def blink() -> Rows:
    names, rows = ["Counting", "Jigsaw", "Relative_Depth"], []
    for i in range(20):
        options = [f"thing {n}" for n in range(2 + i % 3)]
        images = {f"image_{n + 1}": drawn(i, n) if n <= i % 3 else None for n in range(4)}
        rows.append(
            {
                "@config": names[i * 7 % 5 % 3],
                "idx": f"val_{i}",
                "question": f"Which thing, row {i}?",
                **images,
                "choices": options,
                "answer": f"({'ABCD'[i % len(options)]})",
                "prompt": f"Which thing, row {i}? Select from the following choices.\n{lettered(options)}",
            }
        )
    return rows


def vsr() -> Rows:
    relations = ("under", "left of", "facing")
    return [
        {
            "image": f"{i:012}.jpg",
            "image_link": f"http://images.example.org/train2017/{i:012}.jpg",
            "caption": f"The cat is {relations[i % 3]} the chair {i}.",
            "label": i * i % 5 % 2,
            "relation": relations[i % 3],
        }
        for i in range(20)
    ]


def whatsup() -> Rows:
    captions = {word: f"A mug {said} a table" for word, said in (("on", "on"), ("under", "under"))}
    captions |= {f"{side}_of": f"A mug to the {side} of a table" for side in ("left", "right")}
    rows = []
    for thing in ("mug", "bowl", "cap", "cup", "pan"):
        for word in captions:
            right = captions[word]
            others = [caption for caption in captions.values() if caption != right]
            options = [option.replace("mug", thing) for option in (right, *others)]
            rows.append({"image_path": f"data/controlled_images/{thing}_{word}_table.jpeg", "caption_options": options})
    return rows


def gqa() -> Rows:
    answers = ("left", "dog", "wooden table", "yes")
    return [
        {"id": f"2{i:04}", "imageId": f"n{i % 4}", "question": f"What is it, {i}?", "answer": answers[i % 4]}
        for i in range(20)
    ]


def vlms_are_blind() -> Rows:
    tasks = ("Touching Circles", "Nested Squares", "Circled Letter")
    return [
        {
            "image": drawn(i),
            "task": tasks[i * 7 % 5 % 3],
            "prompt": f"How many, drawing {i}? Answer in curly brackets, e.g. {{5}}.",
            "groundtruth": ("Yes", str(i % 7), "o")[i * 7 % 5 % 3],
            "metadata": "{}",
        }
        for i in range(20)
    ]


def visonlyqa() -> Rows:
    rows = []
    for i in range(18):
        closed = ["True", "False"] if i % 2 else ["a", "b", "c", "d", "e"]
        rows.append(
            {
                "@split": "geometry__triangle" if i % 2 else "geometry__length",
                "decoded_image": drawn(i),
                "prompt_no_reasoning": f"What of AB, figure {i}? {', '.join(closed)}",
                "response_options": closed,
                "answer": closed[i % len(closed)],
            }
        )
    return rows


def spatial457() -> Rows:
    return [
        {
            "@config": ("L1_single", "L4_occ")[i * i % 5 % 2],
            "image": drawn(i),
            "question": f"What shape, scene {i}?",
            "answer": ("airliner", "True", "3", "False")[i % 4],
            "question_index": i,
        }
        for i in range(20)
    ]


def embspatial() -> Rows:
    relations = ("above", "close", "left")
    return [
        {
            "question_id": f"q{i}",
            "question": f"What is {relations[i % 3]} the sofa, view {i}?",
            "image": drawn(i),
            "answer_options": ["lamp", "table", "window", f"door {i}"],
            "answer": i % 4,
            "relation": relations[i % 3],
        }
        for i in range(20)
    ]


FIXTURES: dict[str, Callable[[], Rows]] = {
    made.__name__: made
    for made in (
        *(cv_bench, pope, naturalbench, mmvp, blink, vsr, whatsup, gqa),
        *(vlms_are_blind, visonlyqa, spatial457, embspatial),
    )
}
_IMAGES = {"naturalbench": ["Image"], "blink": [f"image_{n}" for n in range(1, 5)], "visonlyqa": ["decoded_image"]}
_SPLITS = {"mmvp": "train", "blink": "val", "gqa": "testdev", "vlms_are_blind": "valid"}


def variant(folder: Path, name: str) -> Path:
    """Write the fixture of a task as a local data set, and a task file that reads it as the task does; return it."""
    rows = FIXTURES[name]()
    if name == "whatsup":
        data = _whatsup_files(folder, rows)
    else:
        data = {"hub": None, "revision": None, "path": "repo", **_repository(folder / "repo", name, rows)}
    path = folder / f"my_{name}.yaml"
    path.write_text(yaml.safe_dump({"task": path.stem, "include": name, "data": data}, sort_keys=False))
    return path


def _repository(home: Path, name: str, rows: Rows) -> dict[str, Any]:
    """Write rows as a directory of Parquet files whose card names configurations and splits, as the hub has them."""
    parts: dict[tuple[str, str], Rows] = {}
    for row in rows:
        config, split = row.get("@config", "default"), row.get("@split", _SPLITS.get(name, "test"))
        parts.setdefault((config, split), []).append({k: v for k, v in row.items() if not k.startswith("@")})
    images = {key: _IMAGES.get(name, ["image"]) for key in parts}
    if name == "gqa":
        (only,) = parts.values()
        photos = [{"id": f"n{i}", "image": drawn(i)} for i in range(4)]
        parts = {
            ("testdev_balanced_instructions", "testdev"): only,
            ("testdev_balanced_images", "testdev"): photos,
        }
        images = {key: ["image"] if "images" in key[0] else [] for key in parts}
    if name == "vsr":
        images = {key: [] for key in parts}
    configs: dict[str, list[dict[str, str]]] = {}
    for (config, split), part in parts.items():
        (home / config).mkdir(parents=True, exist_ok=True)
        dataset(part, images[config, split]).to_parquet(home / config / f"{split}.parquet")
        configs.setdefault(config, []).append({"split": split, "path": f"{config}/{split}.parquet"})
    card = {"configs": [{"config_name": config, "data_files": files} for config, files in configs.items()]}
    (home / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")
    if "@config" in rows[0]:
        return {"config": list(configs)}
    return {"split": [split for _, split in parts]} if "@split" in rows[0] else {}


def _whatsup_files(folder: Path, rows: Rows) -> dict[str, Any]:
    import json

    (folder / "data" / "controlled_images").mkdir(parents=True)
    for i, row in enumerate(rows):
        (folder / row["image_path"]).write_bytes(drawn(i)["bytes"])
    (folder / "controlled_images_dataset.json").write_text(json.dumps(rows))
    return {"path": "controlled_images_dataset.json", "image_dir": "."}
