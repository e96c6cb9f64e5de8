"""The commit is read from git's files; nothing that a repository's config names runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vtbench.runs.git_commit import git_commit

A, B = "0123456789abcdef" * 2 + "01234567", "fedcba98" * 5


def repository(path: Path, head: str = "ref: refs/heads/main\n") -> Path:
    git = path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text(head)
    return git


def test_a_loose_branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository(tmp_path) / "refs/heads/main").write_text(f"{A}\n")
    (tmp_path / "deep/er").mkdir(parents=True)
    assert git_commit(tmp_path / "deep/er") == A
    monkeypatch.chdir(tmp_path / "deep")
    assert git_commit() == A


def test_a_packed_branch_and_a_loose_one_that_is_newer(tmp_path: Path) -> None:
    git = repository(tmp_path, "ref: refs/heads/feature/x\n")
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{B} refs/heads/feature/xx\n{A} refs/heads/feature/x\n^{B}\n"
    )
    assert git_commit(tmp_path) == A
    (git / "refs/heads/feature").mkdir()
    (git / "refs/heads/feature/x").write_text(B)
    assert git_commit(tmp_path) == B


@pytest.mark.parametrize("commit", [A, "ab" * 32])
def test_a_detached_head(tmp_path: Path, commit: str) -> None:
    repository(tmp_path, f"{commit}\n")
    assert git_commit(tmp_path) == commit


def test_a_worktree_has_its_own_head_and_the_refs_of_its_repository(tmp_path: Path) -> None:
    git = repository(tmp_path / "main")
    (git / "refs/heads/main").write_text(A)
    (git / "refs/heads/side").write_text(B)
    own = git / "worktrees/side"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "side").mkdir()
    (tmp_path / "side/.git").write_text(f"gitdir: {own}\n")
    assert (git_commit(tmp_path / "main"), git_commit(tmp_path / "side")) == (A, B)
    (tmp_path / "side/.git").write_text("gitdir: ../main/.git/worktrees/side\n")
    assert git_commit(tmp_path / "side") == B


@pytest.mark.parametrize(
    "head",
    ["", "ref:", "ref: refs/heads/none", "ref: ../../secret", "ref: refs/../../secret", "ref: /secret", "x" * 40, "\0"],
)
def test_what_is_no_commit_is_none(tmp_path: Path, head: str) -> None:
    repository(tmp_path / "project", head)
    (tmp_path / "secret").write_text(A)
    assert git_commit(tmp_path / "project") is None


def test_no_repository_and_no_directory(tmp_path: Path) -> None:
    assert git_commit(tmp_path / "gone") is None


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    git = repository(tmp_path)
    os.mkfifo(git / "refs/heads/main")
    os.mkfifo(git / "packed-refs")
    assert git_commit(tmp_path) is None


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_git_agrees_and_a_hostile_config_runs_nothing(tmp_path: Path) -> None:
    def git(*words: str, at: Path = tmp_path) -> str:
        # the tests may run inside a hook of git, which sets GIT_DIR
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "core.hooksPath=/dev/null"]
        command = ["git", *who, *words]
        return subprocess.run(
            command, cwd=at, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert git_commit(tmp_path) == git("rev-parse", "HEAD")
    git("pack-refs", "--all")
    assert git_commit(tmp_path) == git("rev-parse", "HEAD")
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git("commit", "-q", "--allow-empty", "-m", "second", at=tmp_path / "side")
    assert git_commit(tmp_path / "side") == git("rev-parse", "HEAD", at=tmp_path / "side") != git_commit(tmp_path)

    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    with (tmp_path / ".git/config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {program}\n\tpager = {program}\n\thooksPath = {tmp_path}\n")
    assert git_commit(tmp_path) is not None
    assert not mark.exists()
