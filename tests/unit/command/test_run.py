"""`drank run`: which configuration it is of, and what lies over it."""

import re

import pytest
from click import UsageError
from click.testing import CliRunner

from drank.command import drank
from drank.command.others import shipped_in, snakemake_arguments
from drank.config import ConfigError
from drank.runtime.shipped import WORKFLOW


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "site", "more"):
        (tmp_path / f"{name}.yaml").write_text("models: {}")


def test_run_takes_a_configuration_by_its_path(tmp_path):
    assert snakemake_arguments(["mine.yaml", "-n"])[-2:] == ["--configfile", str(tmp_path / "mine.yaml")]
    with pytest.raises(FileNotFoundError, match=r"no file mien\.yaml"):
        snakemake_arguments(["mien.yaml"])
    (tmp_path / "mine.yaml").write_text("models: {}\nmethods: [")
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 2: no valid YAML"):
        snakemake_arguments(["mine.yaml"])


def test_what_lies_over_a_configuration_comes_after_it(tmp_path):
    """Snakemake takes the last --configfile alone, so that one of the two would be dropped without a word."""
    named = str(tmp_path / "mine.yaml")
    over = {
        ("--configfile", "site.yaml", "more.yaml", "-n"): ["-n", "--configfile", named, "site.yaml", "more.yaml"],
        ("--configfile=site.yaml", "summary"): ["summary", "--configfile", named, "site.yaml"],
        ("--configfiles", "site.yaml", "-n", "--configfile=more.yaml"): ["-n", "--configfile", named, "site.yaml", "more.yaml"],
        ("--config", "ratios=[0.2]"): ["--config", "ratios=[0.2]", "--configfile", named],
    }
    for given, expected in over.items():
        assert snakemake_arguments(["mine.yaml", *given])[4:] == expected, given
    assert snakemake_arguments(["--configfile", "site.yaml"])[4:] == ["--configfile", "site.yaml"]


@pytest.mark.parametrize("given", [["-n", "mine.yaml"], ["-c", "2", "mine.yaml"], ["site.yaml", "mine.yaml"]])
def test_a_configuration_that_does_not_come_first_is_told(given):
    with pytest.raises(UsageError, match=r"mine\.yaml is a configuration .* comes first.* drank run mine\.yaml"):
        snakemake_arguments(given)


def test_a_file_that_is_the_value_of_an_option_is_no_configuration():
    assert snakemake_arguments(["mine.yaml", "--slurm-partition-config", "site.yaml"])
    assert snakemake_arguments(["--until", "more.yaml"])


def test_which_file_a_shipped_name_means_is_known():
    shipped = WORKFLOW / "config"
    assert shipped_in(snakemake_arguments(["-n"])) == shipped / "config.yaml"
    for given in (["paper", "-n"], ["paper", "--configfile", "site.yaml"]):
        assert shipped_in(snakemake_arguments(given)) == shipped / "paper.yaml"
    for given in (["mine.yaml"], ["--configfile", "site.yaml"], ["--configfile=site.yaml"]):
        assert shipped_in(snakemake_arguments(given)) is None


def test_a_run_says_which_file_a_shipped_name_means(monkeypatch):
    """An installed copy reads its own and not the one in a clone, whoever edited that."""
    monkeypatch.setattr("snakemake.cli.main", lambda arguments: None)
    monkeypatch.setattr("drank.command.others.writable_caches", lambda folder: None)
    assert CliRunner().invoke(drank, ["run", "paper", "-n"]).output == f"configuration: {WORKFLOW / 'config/paper.yaml'}\n"
    assert CliRunner().invoke(drank, ["run", "mine.yaml", "-n"]).output == ""


def test_the_help_names_every_configuration_that_is_shipped():
    told = CliRunner().invoke(drank, ["run", "--help"]).output
    names = {path.stem for path in (WORKFLOW / "config").glob("*.yaml")} - {"config"}
    assert names == set(re.findall(r"[\w-]+", told.partition("drank ships (")[2].partition(")")[0]))
