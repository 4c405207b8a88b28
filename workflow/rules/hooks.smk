from drank.config.forecast import forecast, wall
from drank.config.room import room
from drank.config.speed import core_speed
from drank.evaluation.execution import VLLM
from drank.evaluation.served.interpreter import interpreter
from drank.evaluation.throughput import check_cores
from drank.runtime.asked import ShowAsked, most
from drank.runtime.claiming import claim
from drank.runtime.cluster_errors import tell_errors
from drank.runtime.job_states import ask_who_knows
from drank.runtime.terminal import SILENT, NamesAlone, Progress, quieten
from drank.runtime.urgency import hasten

run = set()  # the rules that this run has work for
logger.addFilter(NamesAlone())


def announce(workflow):
    """Say what is about to run and how long that may take, and from then on one line for each job."""
    jobs = [(workflow.dag.jobid(job), job.rule.name, dict(job.wildcards_dict)) for job in workflow.dag.needrun_jobs()]
    jobs = [job for job in jobs if job[1] not in SILENT]
    run.update(rule for _, rule, _ in jobs)
    if not jobs:
        return
    if "throughput" in run and config["throughput"]["engine"] == VLLM:
        interpreter()
    if "throughput" in run and not SUBMITTED:
        check_cores(config["compute"]["threads"])
    at_once = min(slots(), len(jobs))
    try:
        expected = forecast(config, jobs, runs=RUNS, speed=None if SUBMITTED else core_speed())
        total = wall(expected, [number for number, rule, _ in jobs if rule == "throughput" and not SUBMITTED], at_once)
        logger.info(f"{len(jobs)} steps, {at_once} at once: about {max(1, round(total / 60))} min")
        taken, short = room(config, jobs, Path.cwd(), at_once, RUNS)
        if taken:
            logger.info(taken)
        if short:
            logger.warning(short)
    except (ValueError, KeyError, OSError) as missing:  # a model that is not here yet, or not whole; the step that reads it says so
        expected, total = {number: 1.0 for number, *_ in jobs}, 0.0
        logger.info(f"{len(jobs)} steps, {at_once} at once; how long they take cannot be told before their models are here: {missing}")
    if config["keep"] != "nothing":  # where models go once measured, what lets them go comes first
        hasten(workflow.dag, expected)
    if not workflow.output_settings.verbose:
        quieten(logger, Progress(expected, total))
    if SUBMITTED:
        tell_errors(workflow.scheduler._executor, logger.error)


def slots():
    """How many jobs that run a model the run does at once."""
    settings, compute = workflow.resource_settings, config["compute"]
    at_once = settings.nodes or max(1, ALL_CORES // compute["threads"])
    for resource, each in {"gpu": compute["gpus"], "mem_mb": compute["memory_mb"]}.items():
        there = getattr(workflow.global_resources.get(resource), "value", None)
        at_once = min(at_once, max(1, there // each)) if each and isinstance(there, int) else at_once
    return at_once


def asked():
    """What the jobs that this run submits ask the cluster for, by rule."""
    jobs = [*workflow.dag.needrun_jobs(), *workflow.dag.finished_jobs]  # a dry run has "finished" them when it shows them again
    jobs = [job for job in jobs if job.group or job.rule.name not in workflow._localrules]
    return most((job.rule.name, {**job.resources, "threads": job.threads}) for job in jobs)


if SUBMITTED and workflow.is_main_process:
    logger.addFilter(ShowAsked(asked))


def conclude():
    """Say who won, which checks failed and where the report is, after a run that wrote one."""
    if "report" in run:
        if workflow.storage_settings.default_storage_provider is None:
            logger.info(Path("results/verdict.txt").read_text("utf-8").rstrip())
            logger.info(f"report: {Path('results/report.html').resolve()}")
        else:
            logger.info(f"report: results/report.html in {workflow.storage_settings.default_storage_prefix or 'the default storage'}")


onstart:
    claim(Path.cwd())
    ask_who_knows(workflow.executor_settings, logger.warning)
    announce(workflow)


onsuccess:
    conclude()


# A job that wants one of several GPUs here: rules are known by now, and nothing has looked for a GPU yet.
if workflow.subprocess_exec and HERE_ALONE and config["compute"]["gpus"] == 1:
    if any(getattr(workflow.get_rule(name).resources.get("gpu"), "value", 0) for name in workflow.dag_settings.allowed_rules):
        take(".snakemake", config["compute"]["device"])
