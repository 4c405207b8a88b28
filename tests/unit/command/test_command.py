"""The command: what it says, what it hands on, and how it says what is wrong."""

import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from drank.calls.request import OPTIONS
from drank.command import COMMANDS, drank
from drank.command.compress import weights_of, weights_told
from drank.command.options import HELP, options_of
from drank.command.others import snakemake_arguments
from drank.runtime.device import cores
from drank.runtime.shipped import WORKFLOW
from tests.workflow.runs import WORDS, write_model


def run(*arguments):
    """The command in a process of its own, as a shell runs it."""
    return subprocess.run([sys.executable, "-m", "drank", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("own folder")
    write_model(place / "tiny")
    (place / "my.txt").write_text(" ".join(WORDS * 60))
    return place


def test_every_command_has_a_help_that_starts_with_what_it_does():
    told = CliRunner().invoke(drank, ["--help"]).output
    for name in COMMANDS:
        assert f"  {name} " in told
        shown = CliRunner().invoke(drank, [name, "--help"])
        assert shown.exit_code == 0, name
        assert len(shown.output.splitlines()) > 2


def test_every_option_of_a_method_is_one_of_the_command_with_a_help():
    assert set(HELP) == set(OPTIONS)
    told = CliRunner().invoke(drank, ["compress", "--help"]).output
    assert [name for name in OPTIONS if f"--{name.replace('_', '-')}" not in told] == []


def test_help_and_mistakes_import_neither_torch_nor_transformers():
    program = (
        "import sys; from click.testing import CliRunner; from drank.command import drank;"
        "CliRunner().invoke(drank, ['compress', '--help']); CliRunner().invoke(drank, ['--help']);"
        "assert not {'torch', 'transformers', 'snakemake'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_one_line_compresses_and_one_measures(folder, tmp_path):
    few = ("--length", 32, "--windows", 8, "--threads", 1)
    made = run(
        "compress", folder / "tiny", "--text", folder / "my.txt", "--out", tmp_path / "out", "--method", "d-rank", "--ratio", 0.4, *few
    )
    assert made.returncode == 0, made.stderr
    assert "of the projections' and" in made.stdout
    assert "compress tiny d-rank 0.4: done in" in made.stderr
    measured = run(
        "evaluate", folder / "tiny", tmp_path / "out", "--text", folder / "my.txt", "--seen", *few, "--out", tmp_path / "records"
    )
    assert measured.returncode == 0, measured.stderr
    head, *rows = measured.stdout.splitlines()
    assert head.split() == [str(folder / "tiny"), str(tmp_path / "out")] or "own folder" in head
    told = ["perplexity", "perplexity_window_mean", "calibration_error", "repeated_4grams"]
    assert [row.split("  ")[0].strip() for row in rows] == [*(f"my {metric}" for metric in told), "model parameters", "model bytes"]
    assert (tmp_path / "records/tiny/perplexity.json").is_file()
    assert (tmp_path / "records/out/perplexity.json").is_file()
    planned = run(
        "plan",
        folder / "tiny",
        "--text",
        folder / "my.txt",
        *few,
        "--method",
        "d-rank",
        "--refit-from",
        "none",
        "--out",
        tmp_path / "p.json",
    )
    assert planned.returncode == 0, planned.stderr
    assert [line.split()[0] for line in planned.stdout.splitlines()[1:]] == ["q", "k", "v", "o", "gate", "up", "down"]
    assert '"refit_from": null' in (tmp_path / "p.json").read_text()


@pytest.mark.slow
def test_a_model_that_grew_by_its_precision_says_what_halves_it(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    half = shutil.copytree(folder / "tiny", tmp_path / "half")
    whole = weights_of({"path": str(half)})
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(half / "model.safetensors").items()}
    save_file(tensors, half / "model.safetensors", {"format": "pt"})
    assert weights_of({"path": str(half)}) == whole / 2
    asked = ("compress", half, "--method", "svd", "--ratio", 0.2, "--threads", 1)
    for dtype, grown in (("float32", True), ("bfloat16", False)):
        made = run(*asked, "--dtype", dtype, "--out", tmp_path / dtype)
        assert f"of {whole // 2:,} that the source has" in made.stdout or grown, made.stdout + made.stderr
        assert (f"more than the {whole // 2:,} of the source: they are stored in float32, and --dtype bfloat16" in made.stdout) == grown


def test_of_a_gguf_file_the_bytes_are_the_files_own(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF" * 10)
    assert weights_of({"gguf": str(tmp_path / "a.gguf")}) == 40
    assert weights_told(41, 40, "bfloat16") == "41 bytes of weights, more than the 40 of the source"


def test_what_drank_foresaw_is_said_without_a_traceback(tmp_path):
    found = run("compress", tmp_path / "nothing", "--out", tmp_path / "x")
    assert found.returncode == 1
    assert found.stderr.startswith("drank: model ")
    assert "Traceback" not in found.stderr


def test_what_is_near_is_told():
    assert "there is no command 'compres' (did you mean compress?)" in CliRunner().invoke(drank, ["compres"]).output
    assert "--method" in CliRunner().invoke(drank, ["compress", "x", "--methd", "y"]).output


ALL = ["--cores", str(cores())]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [*ALL]),
        (["-n"], [*ALL, "-n"]),
        (["--cores", "4"], ["--cores", "4"]),
        (["-c4", "pdf"], ["-c4", "pdf"]),
        (["--workflow-profile", "slurm", "--jobs=20"], ["--workflow-profile", "slurm", "--jobs=20"]),
        (["methods", "-n"], [*ALL, "-n", "--configfile", str(WORKFLOW / "config/methods.yaml")]),
        (["--configfile", "a.yaml"], [*ALL, "--configfile", "a.yaml"]),
        (["summary"], [*ALL, "summary"]),
    ],
)
def test_run_hands_on_to_snakemake(given, expected):
    assert snakemake_arguments(given) == ["--snakefile", str(WORKFLOW / "Snakefile"), *expected]


def test_serve_wants_the_model_first():
    done = CliRunner().invoke(drank, ["serve", "--port", "8000", "smaller"])
    assert done.exit_code == 2 and "drank serve DIRECTORY --port" in done.output


def test_the_server_gets_its_environment_without_what_the_command_set(monkeypatch):
    """Bars that are hidden and threads that sleep are the command's own."""
    from drank.models.serving import server

    given = {}
    monkeypatch.setattr(server, "server_command", lambda model, arguments: ["/bin/python", model, *arguments])
    monkeypatch.setattr(server.os, "execve", lambda path, command, environment: given.update(command=command, environment=environment))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert CliRunner().invoke(drank, ["serve", "smaller", "--port", "1"]).exit_code == 0
    assert given["command"] == ["/bin/python", "smaller", "--port", "1"]
    assert "OMP_WAIT_POLICY" not in given["environment"] and given["environment"]["OMP_NUM_THREADS"] == "2"


def test_what_is_given_for_a_text_is_read_by_the_schema():
    """By YAML 1.1 a split called 2 were a number, and 1e-4 none."""
    given = {"search": ("split=2", "windows=8"), "finetune": ("learning_rate=1e-4",)}
    assert options_of(given) == {"search": {"split": "2", "windows": "8"}, "finetune": {"learning_rate": "1e-4"}}
