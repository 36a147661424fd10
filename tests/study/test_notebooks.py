import datetime
import json

import nbformat
import pytest

import avnb
from avnb.study import kernels
from avnb.study import notebooks as batch

WORKS = """\
# %% tags=["parameters"]
model = "toy-omni"
n = 3
out = None

# %%
from pathlib import Path

with open(Path(out).parent / "calls.txt", "a") as calls:
    calls.write(f"works {model} {n}\\n")

# %% tags=["skip-execution"]
raise SystemExit("a batch never comes here")
"""
FAILS = """\
# %% tags=["parameters"]
model = "toy-omni"
out = None

# %%
from pathlib import Path

with open(Path(out).parent / "calls.txt", "a") as calls:
    calls.write(f"fails {model}\\n")
if not (Path(out).parent / "mended").exists():
    raise KeyError("no such event")

# %%
Path(out, "end.txt").write_text("reached")
"""
ALL = """\
# %% tags=["parameters"]
tables = None
models = None
dataset = "toybox"
seed = 0

# %%
from pathlib import Path

with open(Path(tables) / "calls.txt", "a") as calls:
    calls.write(f"all {seed}\\n")
"""


@pytest.fixture
def sources(tmp_path):
    """Paths of three small notebooks: one about all models, one that works, one that fails."""
    texts = {"07_all": ALL, "02_works": WORKS, "03_fails": FAILS}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    return [tmp_path / f"{name}.py" for name in texts]


def calls(out):
    return (out / "calls.txt").read_text().splitlines() if (out / "calls.txt").exists() else []


def statuses(outcomes):
    return {outcome.job.name: outcome.status for outcome in outcomes}


def test_a_batch_goes_on_after_a_failure_and_resumes(sources, tmp_path):
    """One story, because every kernel takes seconds to start."""
    out = tmp_path / "runs"
    jobs = batch.plan(["toy-omni"], sources, out, {"n": 5, "seed": 2})
    reported = []
    outcomes = batch.execute(jobs, reported.append)
    assert statuses(outcomes) == {"toy-omni: 02_works": "done", "toy-omni: 03_fails": "failed", "07_all": "done"}
    assert reported == outcomes
    assert calls(out) == ["works toy-omni 5", "fails toy-omni", "all 2"], "parameters, and what is about all comes last"

    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failed.error == "KeyError: 'no such event'"
    log = failed.job.log.read_text()
    assert "no such event" in log and "Traceback" in log and "\x1b" not in log
    cells = nbformat.read(failed.job.target, as_version=4).cells
    assert any(output.output_type == "error" for cell in cells for output in cell.get("outputs", []))
    assert not (out / "toy-omni" / "end.txt").exists()
    left = sorted(path.name for path in (out / "toy-omni").iterdir())
    assert left == ["02_works.ipynb", "03_fails.ipynb", "03_fails.log"]

    (out / "mended").touch()
    again = batch.execute(jobs)
    assert statuses(again) == {"toy-omni: 02_works": "kept", "toy-omni: 03_fails": "done", "07_all": "kept"}
    assert calls(out)[3:] == ["fails toy-omni"], "only what failed runs again"
    assert not failed.job.log.exists() and (out / "toy-omni" / "end.txt").exists()


@pytest.fixture
def job(sources, tmp_path):
    return batch.plan(["toy-omni"], sources[1:2], tmp_path / "runs", {"n": 5})[0]


def test_the_key_follows_source_parameters_code_and_checkpoint(job, sources, tmp_path, organism_folder, monkeypatch):
    key = batch._key(job)
    assert key == batch._key(job)
    keys = {key}
    keys.add(batch._key(batch.plan(["toy-omni"], sources[1:2], tmp_path / "runs", {"n": 6})[0]))
    (mine,) = batch.plan([str(organism_folder)], sources[1:2], tmp_path / "runs", {"n": 5})
    keys.add(batch._key(mine))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "file_hash", lambda path: "retrained" if path.suffix == ".safetensors" else "same")
        keys.add(batch._key(job))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "package_hash", lambda: "other")
        keys.add(batch._key(job))
    sources[1].write_text(WORKS.replace("works {model}", "still works {model}"))
    keys.add(batch._key(job))
    assert len(keys) == 6


def test_what_is_about_all_models_depends_on_their_tables(sources, tmp_path):
    (job,) = batch.plan(["toy-omni"], sources[:1], tmp_path / "runs")
    before = batch._key(job)
    (tmp_path / "runs" / "toy-omni").mkdir(parents=True)
    (tmp_path / "runs" / "toy-omni" / "toy-omni--toybox--fidelity--0.parquet").write_bytes(b"a table")
    assert batch._key(job) != before


@pytest.mark.parametrize(
    ("name", "by_folder"), [("manifest.jsonl", False), ("manifest.jsonl", True), ("metadata.csv", True)]
)
def test_the_key_follows_the_content_of_a_set(sources, tmp_path, name, by_folder):
    manifest = tmp_path / "set" / name
    manifest.parent.mkdir()
    given = {"dataset": str(manifest.parent if by_folder else manifest)}
    (job,) = batch.plan(["toy-omni"], sources[:1], tmp_path / "runs", given)
    keys = set()
    for text in ("a", "b", "a"):
        manifest.write_text(text)
        keys.add(batch._key(job))
    assert len(keys) == 2


def test_the_key_follows_the_media_of_a_set(sources, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a video")
    manifest = avnb.datasets.save([avnb.Clip("a", tmp_path / "a.mp4")], tmp_path / "set.jsonl")
    (job,) = batch.plan(["toy-omni"], sources[:1], tmp_path / "runs", {"dataset": str(manifest)})
    before = batch._key(job)
    (tmp_path / "a.mp4").write_bytes(b"another")
    assert batch._key(job) != before


def test_a_notebook_whose_tables_are_gone_runs_again(tmp_path):
    """And nothing that lies under a name of its own is written through, or left."""
    (tmp_path / "02_asks.py").write_text(
        '# %% tags=["parameters"]\nout = ""\nmodel = ""\n\n# %%\nimport pandas as pd\n\n'
        'from avnb.study import tables\n\ntables.write(pd.DataFrame({"a": [1]}), f"{out}/a--b.parquet", {})\n'
    )
    jobs = batch.plan(["toy-omni"], [tmp_path / "02_asks.py"], tmp_path / "runs")
    folder, victim = jobs[0].target.parent, tmp_path / "victim"
    folder.mkdir(parents=True)
    victim.write_text("of somebody else")
    for name in (".02_asks.ipynb", ".02_asks.source.ipynb", "02_asks.ipynb"):
        (folder / name).symlink_to(victim)
    done = [outcome.status for _ in range(2) for outcome in batch.execute(jobs)]
    (folder / "a--b.parquet").unlink()
    assert [*done, *(outcome.status for outcome in batch.execute(jobs))] == ["done", "kept", "done"]
    assert victim.read_text() == "of somebody else"
    left = {path.name for path in folder.iterdir()} - {".02_asks.ipynb", ".02_asks.source.ipynb"}
    assert left == {"02_asks.ipynb", "a--b.parquet"}


def test_an_interrupted_notebook_runs_again(job):
    assert not batch._is_kept(job.target, "key")
    job.target.parent.mkdir(parents=True)
    for text in ("[]", "null"):
        job.target.write_text(text)
        assert not batch._is_kept(job.target, "key")
    job.target.write_text("{")
    assert not batch._is_kept(job.target, "key")
    job.target.write_text(json.dumps({"metadata": {"avnb": {"key": "key"}}}))
    assert batch._is_kept(job.target, "key") and not batch._is_kept(job.target, "other")


def test_a_notebook_gets_only_the_parameters_that_it_has(sources, tmp_path):
    works, fails, everything = batch.plan(["toy-omni"], sources, tmp_path / "runs", {"n": 5})
    folder = tmp_path / "runs" / "toy-omni"
    assert works.parameters == {"model": "toy-omni", "n": 5, "out": str(folder)}
    assert fails.parameters == {"model": "toy-omni", "out": str(folder)}
    assert everything.parameters == {"tables": str(tmp_path / "runs"), "models": ["toy-omni"]}
    assert everything.model is None


def test_names_with_a_slash_get_one_folder(sources, tmp_path):
    (job,) = batch.plan(["Qwen/Qwen2.5-Omni-3B"], sources[1:2], tmp_path)
    assert job.target == tmp_path / "Qwen+Qwen2.5-Omni-3B" / "02_works.ipynb"
    assert job.parameters["model"] == "Qwen/Qwen2.5-Omni-3B"


def test_a_batch_takes_ipynb_files(sources, tmp_path):
    import jupytext

    path = tmp_path / "02_works.ipynb"
    jupytext.write(jupytext.read(sources[1]), path)
    (job,) = batch.plan(["toy-omni"], [str(path)], tmp_path / "runs", {"n": 5})
    assert job.parameters["n"] == 5


def test_all_are_the_chapters_that_say_themselves_that_they_measure():
    names = [path.stem for path in batch.chapters()]
    assert names == sorted(names) and [name[:2] for name in names] == ["02", "03", "04", "05", "06", "07", "10"]
    assert all(path.suffix == ".py" for path in batch.chapters())


@pytest.mark.parametrize(
    ("models", "notebooks", "parameters", "message"),
    [
        (["toy-omny"], None, {}, "'toy-omny' is no organism"),
        ([], None, {}, "no model was named"),
        (["toy-omni"], ["02_wrks"], {}, "no notebook '02_wrks' in .*00_quickstart"),
        (["toy-omni"], ["lost.ipynb"], {}, "no notebook lost.ipynb"),
        (["toy-omni"], [], {}, "no notebook was named"),
        (["toy-omni"], None, {"m": 3}, "no notebook has a parameter 'm'; they have dataset, n, seed$"),
        (["toy-omni"], None, {"out": "x"}, "'out' is set by the batch itself"),
        (["toy-omni"], None, {"models": ["a"]}, "'models' is set by the batch itself"),
        *(
            (
                ["toy-omni"],
                None,
                {"n": value},
                f"n={value!r}: give a whole number.*; in 02_works it is 3".replace("[", "."),
            )
            for value in ("abc", "4", [1, 2], -1, 1e9, True)
        ),
        (["toy-omni"], None, {"seed": "x"}, "seed='x': give a whole number; in 07_all it is 0"),
        (["toy-omni"], None, {"n": datetime.date(2026, 1, 1)}, "give a name, a number or a list of them"),
    ],
)
def test_arguments_are_checked_before_anything_runs(sources, tmp_path, models, notebooks, parameters, message):
    with pytest.raises(avnb.AvnbError, match=message):
        batch.plan(models, sources if notebooks is None else notebooks, tmp_path / "runs", parameters)
    assert not (tmp_path / "runs").exists()


def test_a_study_file(tmp_path):
    path = tmp_path / "study.yml"
    path.write_text("models: [toy-omni]\nnotebooks: all\nparameters:\n  n: 24\n  windows: [1, 2]\n")
    expected = {"models": ["toy-omni"], "notebooks": "all", "parameters": {"n": 24, "windows": [1, 2]}}
    assert batch.from_file(path) == expected
    path.write_text("models: toy-omni, toy-vl\n")
    assert batch.from_file(path) == {"models": ["toy-omni", "toy-vl"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: toy-omni", "unknown model; write some of models: ..., notebooks"),
        ("- toy-omni", "no such lines"),
        ("models: {a: 1}", "models is .*; give a list of names, or all"),
        ("parameters: 24", "parameters is 24; write lines such as n: 24"),
        ("a: [", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML: maximum recursion"),
        *((f"out: {value}", "out is .*; give the path of a folder") for value in ("5", "[a]", "")),
    ],
)
def test_a_study_file_that_is_wrong_says_so(tmp_path, text, message):
    path = tmp_path / "study.yml"
    path.write_text(text)
    with pytest.raises(batch.BatchError, match=message):
        batch.from_file(path)


def test_without_papermill_it_says_what_to_install(job, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "papermill", None)
    with pytest.raises(batch.BatchError, match=r'needs papermill; install it with: pip install "avnb\[book\]"'):
        batch.execute([job])


def test_a_cell_may_not_take_for_ever(tmp_path, monkeypatch):
    (tmp_path / "hangs.py").write_text('# %% tags=["parameters"]\nmodel = ""\n\n# %%\nimport time\n\ntime.sleep(600)\n')
    monkeypatch.setattr(kernels, "_LONGEST", 2)
    (outcome,) = batch.execute(batch.plan(["toy-omni"], [str(tmp_path / "hangs.py")], tmp_path / "runs"))
    assert outcome.status == "failed" and "2 seconds" in outcome.error.replace("timed out after", "")


def test_files_of_the_current_folder_are_no_modules_of_a_chapter(tmp_path, monkeypatch):
    (tmp_path / "av.py").write_text("raise ImportError('not this one')")
    source = tmp_path / "02_reads.py"
    source.write_text(WORKS.partition('# %% tags=["skip')[0] + "\nimport av\n\nav.open\n")
    monkeypatch.chdir(tmp_path)
    (outcome,) = batch.execute(batch.plan(["toy-omni"], [source], tmp_path / "runs"))
    assert outcome.status == "done", outcome.error


def test_a_chapter_that_does_not_apply_is_no_failure(tmp_path):
    """Chapter 6 and a model without a known base: the notebook shows the reason alone, and does not run again."""
    (tmp_path / "06_base.py").write_text(
        '# %% tags=["parameters"]\nmodel = "owner/name"\n\n# %%\nimport avnb\n\navnb.models.base_of(model)\n'
    )
    jobs = batch.plan(["owner/name"], [tmp_path / "06_base.py"], tmp_path / "runs")
    (outcome,) = batch.execute(jobs)
    assert outcome.status == "n/a" and "no vision-language base is known for 'owner/name'" in outcome.error
    (output,) = [out for cell in nbformat.read(jobs[0].target, 4).cells for out in cell.get("outputs", ())][-1:]
    assert output["traceback"] == [f"Does not apply: {outcome.error.split(': ', 1)[1]}"]
    assert [outcome.status for outcome in batch.execute(jobs)] == ["kept"]


def test_a_model_in_a_folder_is_called_by_the_folders_name(sources, tmp_path, organism_folder):
    (job,) = batch.plan([str(organism_folder)], sources[1:2], tmp_path / "runs")
    assert job.target.parent == tmp_path / "runs" / organism_folder.name
    assert job.parameters["model"] == str(organism_folder) and job.name == f"{organism_folder.name}: 02_works"
    other = tmp_path / "other" / organism_folder.name
    other.mkdir(parents=True)
    with pytest.raises(batch.BatchError, match="would be called alike"):
        batch.plan([str(organism_folder), str(other)], sources[1:2], tmp_path / "runs")


def test_the_key_follows_how_a_checkpoint_is_loaded():
    names = ("toy-omni", "toy-omni@bfloat16", "toy-omni@float32")
    assert len({str(batch._checkpoint(name)) for name in names}) == 3
    assert batch._checkpoint("owner/name@4bit") == "owner/name@4bit"
