"""Arrays in files: any slice is numpy's own, no file is loaded whole, a bad file is one clear line."""

from __future__ import annotations

import gc
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from file_fakes import outcome
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.inputs import numpy_arrays
from vtbench_redundancy.inputs.array_files import open_array


def save_members(path: Path, compression: int, **arrays: np.ndarray) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)


FORMATS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "plain.npy": np.save,
    "second.npy": lambda path, array: np.lib.format.write_array(path.open("wb"), array, version=(2, 0)),
    "stored.npz": lambda path, array: np.savez(path, before=np.arange(7), own=array),
    "packed.npz": lambda path, array: np.savez_compressed(path, own=array, after=np.arange(7)),
    "bzip.npz": lambda path, array: save_members(path, zipfile.ZIP_BZIP2, own=array),
    "one.safetensors": lambda path, array: save_file({"own": np.ascontiguousarray(array)}, path),
}
KEYS = {"stored.npz": ":own", "packed.npz": ":own"}

reals = hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.floating_dtypes(sizes=(16, 32, 64)) | st.just(bool)
native = reals.map(lambda dtype: np.dtype(dtype).newbyteorder("="))
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=6)


def write(directory: str | Path, name: str, array: np.ndarray) -> str:
    FORMATS[name](Path(directory) / name, array)
    return f"{directory}/{name}{KEYS.get(name, '')}"


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data(), fortran=st.booleans(), block=st.sampled_from([1, 64, numpy_arrays.BLOCK_BYTES]))
def test_any_slice_is_numpys_own(name: str, data: st.DataObject, fortran: bool, block: int) -> None:
    array = data.draw(hnp.arrays(native if "safe" in name else reals, SHAPES))
    array = np.asfortranarray(array) if fortran else array
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_arrays, "BLOCK_BYTES", block)
        opened = open_array(write(directory, name, array))
        part = data.draw(st.slices(len(array)))
        found = opened[part]
    assert (opened.shape, opened.dtype, len(opened), opened.ndim) == (array.shape, array.dtype, len(array), array.ndim)
    assert (found.dtype, found.shape) == (array.dtype, array[part].shape)
    np.testing.assert_array_equal(found, array[part])


def test_bfloat16_comes_as_float32(tmp_path) -> None:
    tokens = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    save_torch({"tokens": tokens}, tmp_path / "t.safetensors")
    opened = open_array(tmp_path / "t.safetensors")
    assert opened.dtype == opened[:2].dtype == np.float32
    np.testing.assert_array_equal(opened[1:4], tokens[1:4].float().numpy())


def test_rows_are_read_in_slices_only(tmp_path) -> None:
    np.save(tmp_path / "t.npy", np.zeros((3, 2)))
    for careless in (lambda opened: opened[0], np.asarray):
        with pytest.raises(TypeError, match=r"rows are read in slices, as in rows\[0:64\]"):
            careless(open_array(tmp_path / "t.npy"))


def test_a_file_may_have_a_colon_in_its_own_name(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", b=np.zeros(2))
    np.save(tmp_path / "a.npz:b.npy", np.ones(3))
    assert open_array(tmp_path / "a.npz:b").shape == (2,)
    assert open_array(tmp_path / "a.npz:b.npy").shape == (3,)


PEAK = """
import resource, sys, torch, safetensors
from vtbench_redundancy.inputs import numpy_arrays
from vtbench_redundancy.inputs.array_files import open_array
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
rows = open_array(sys.argv[1])
rows[:1]
before = peak()
for start in range(0, len(rows), 256):
    part = rows[start : start + 64]
    assert part.shape == (64, 512, 128) and not part.any()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files, and ru_maxrss in KiB")
@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_a_file_of_4_gib_takes_the_memory_of_a_few_slices(tmp_path, suffix: str) -> None:
    """A quarter of it is read; a map that stayed open would keep 1 GiB."""
    shape, path = (16640, 512, 128), tmp_path / f"sparse.{suffix}"
    size = math.prod(shape) * 4
    assert size > 2**32
    with path.open("wb") as file:
        if suffix == "npy":
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        else:
            text = json.dumps({"t": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
            file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(file.tell() + size)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 200  # MiB; a slice is 16, and the allocator keeps up to seven


def test_what_was_unpacked_is_gone_when_the_rows_are_dropped(tmp_path, monkeypatch) -> None:
    made, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(make()) or made[-1])
    np.savez_compressed(tmp_path / "t.npz", tokens=np.asfortranarray(np.arange(12.0).reshape(4, 3)))
    opened = open_array(tmp_path / "t.npz")
    assert [file.closed for file in made] == [True, False]  # unpacked, then turned
    assert opened[3:].tolist() == [[9, 10, 11]]
    del opened
    gc.collect()
    assert made[1].closed


def test_nothing_stays_on_the_disk_at_the_end(tmp_path) -> None:
    np.savez_compressed(tmp_path / "t.npz", tokens=np.zeros((4, 3)))
    (tmp_path / "temporary").mkdir()
    code = "import sys; from vtbench_redundancy.inputs.array_files import open_array as o; r = o(sys.argv[1]); r[:2]"
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", code, str(tmp_path / "t.npz")]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert (list((tmp_path / "temporary").iterdir()), done.stderr) == ([], "")


def test_a_disk_too_small_to_unpack_on(tmp_path, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(numpy_arrays.shutil, "disk_usage", lambda place: usage(9, 9, 0))
    np.savez_compressed(tmp_path / "t.npz", tokens=np.zeros((4, 3)))
    with pytest.raises(InputError, match=r"t.npz:tokens: unpacking it takes 0.0 GB, more than is free in .*TMPDIR"):
        open_array(tmp_path / "t.npz")


class Trap:
    """Unpickled, it would fail the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def numpy_file(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, array, allow_pickle=True)


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("no.npy", lambda path: None, "no such file"),
    ("no.npz:tokens", lambda path: None, r"no\.npz: no such file"),
    ("d.npy", Path.mkdir, "is a directory; name a .npy"),
    ("t.csv", Path.touch, r"unknown kind of file '.csv'; wanted .npy, .npz or .safetensors"),
    ("t", Path.touch, "unknown kind of file ''"),
    ("t.pt", Path.touch, "convert it once with safetensors.torch.save_file"),
    ("t.pth:tokens", Path.touch, r"t\.pth: loading a PyTorch file can run code"),
    ("t.npy", Path.touch, "not a .npy array, or its header is broken"),
    ("t.npy", lambda path: path.write_bytes(b"PK\3\4 and more"), "not a .npy array"),
    ("t.npy", lambda path: np.lib.format.write_array(path.open("wb"), np.zeros(2), (3, 0)), r"version \(3, 0\)"),
    ("t.npy:tokens", numpy_file(np.zeros(3)), r"holds one array, without a name; leave out ':tokens'"),
    ("t.npy", numpy_file(np.array([Trap()])), "pickled Python objects, which are never loaded"),
    ("t.npy", numpy_file(np.zeros(3, complex)), "holds complex128; wanted real numbers"),
    ("t.npy", numpy_file(np.array(["a"])), "holds <U1; wanted real numbers"),
    ("t.npy", numpy_file(np.zeros(3, "f4,i2")), "wanted real numbers"),
    ("t.npy", numpy_file(np.zeros((0, 4, 6))), r"is empty, of shape \(0, 4, 6\)"),
    ("t.npy", numpy_file(np.zeros((4, 0, 6))), r"is empty, of shape \(4, 0, 6\)"),
    ("t.npy", numpy_file(np.array(1.0)), "is a single number; wanted an array with one row an image"),
    ("t.npz", Path.touch, "not a whole .npz file"),
    ("t.npz", lambda path: np.savez(path), "no arrays in it"),
    ("t.npz", lambda path: np.savez(path, a=1, b=2), r"2 arrays in it, a, b; name one, as in t.npz:a"),
    ("t.npz:tokens", lambda path: np.savez(path, token=1, b=2), r"no array 'tokens' in it. Did you mean 'token'\?"),
    ("t.npz:x", lambda path: np.savez(path, token=1, b=2), r"no array 'x' in it. There are: b, token\."),
    ("t.npz", lambda path: np.savez(path, a=np.array([Trap()])), "t.npz:a: holds pickled Python objects"),
    ("t.npz", lambda path: np.savez_compressed(path, a=np.zeros((0, 3))), "t.npz:a: is empty"),
    ("t.safetensors", Path.touch, "not a whole .safetensors file"),
    ("t.safetensors", lambda path: save_file({}, path), "no arrays in it"),
    ("t.safetensors", lambda path: save_file({"a": np.zeros((3, 0))}, path), "t.safetensors:a: is empty"),
    ("t.safetensors", lambda path: save_file({"a": np.array(1.0)}, path), "is a single number"),
    ("t.safetensors:c", lambda path: save_file({"a": np.ones(1), "b": np.ones(1)}, path), "There are: a, b"),
    ("t.safetensors", lambda path: save_torch({"a": torch.zeros(3).to(torch.float8_e4m3fn)}, path), "holds F8_E4M3"),
]


@pytest.mark.parametrize(("name", "make", "message"), BAD, ids=[f"{name}-{i}" for i, (name, _, _) in enumerate(BAD)])
def test_a_bad_file_is_one_line_with_its_name(tmp_path, name: str, make: Callable, message: str) -> None:
    path = tmp_path / name.partition(":")[0]
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        open_array(tmp_path / name)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path) -> None:
    for name in FORMATS:
        write(tmp_path, name, np.zeros(3))
        (tmp_path / name).chmod(0)
        with pytest.raises(InputError, match=f"{name}: cannot be read: Permission denied"):
            open_array(tmp_path / name)


def test_one_of_very_many_arrays_is_asked_for_in_one_short_line(tmp_path) -> None:
    np.savez(tmp_path / "t.npz", **{f"layer_{i}": np.zeros(1) for i in range(300)})
    with pytest.raises(InputError, match=r"300 arrays in it, layer_0, .* and 280 more; name one"):
        open_array(tmp_path / "t.npz")


@pytest.mark.parametrize("name", FORMATS)
@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_anywhere_is_refused(name: str, keep: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = write(directory, name, np.arange(60.0).reshape(5, 4, 3))
        path = Path(directory) / name
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        with pytest.raises(InputError, match=name):
            open_array(place)


@pytest.mark.parametrize("name", FORMATS)
@given(where=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_broken_byte_anywhere_is_refused_or_read_as_it_stands(name: str, where: float, byte: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = write(directory, name, np.arange(60.0).reshape(5, 4, 3))
        path = Path(directory) / name
        content = bytearray(path.read_bytes())
        content[int(where * len(content))] = byte
        path.write_bytes(content)
        refused = outcome(open_array, place)
        assert refused is None or (refused.startswith(str(path)) and "\n" not in refused)


@pytest.mark.parametrize("name", ["plain.npy", "one.safetensors"])
def test_a_file_that_shrinks_while_it_is_read(tmp_path, name: str) -> None:
    opened = open_array(write(tmp_path, name, np.ones((5, 4))))
    os.truncate(tmp_path / name, (tmp_path / name).stat().st_size - 8)
    with pytest.raises(InputError, match=name):
        opened[4:]


@pytest.mark.parametrize("name", FORMATS)
def test_rows_once_read_are_the_readers_own(tmp_path, name: str) -> None:
    opened = open_array(write(tmp_path, name, np.ones((5, 4))))
    found = opened[1:]
    with (tmp_path / name).open("r+b") as file:
        file.write(bytes((tmp_path / name).stat().st_size))
    found += 1
    assert (found == 2).all()
