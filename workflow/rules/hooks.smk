from drank.config.forecast import forecast, wall
from drank.models.sources import SourceError
from drank.runtime.lock import claim
from drank.runtime.terminal import SILENT, Progress, quieten


def announce(workflow):
    """Say what is about to run and how long that may take, and from then on one line for each job."""
    jobs = [(workflow.dag.jobid(job), job.rule.name, dict(job.wildcards_dict)) for job in workflow.dag.needrun_jobs()]
    jobs = [job for job in jobs if job[1] not in SILENT]
    at_once = workflow.resource_settings.nodes or max(1, ALL_CORES // config["compute"]["threads"])
    try:
        expected = forecast(config, jobs)
        total = wall(expected, [number for number, rule, _ in jobs if rule == "throughput"], at_once)
        logger.info(f"{len(jobs)} steps, {at_once} at once: about {max(1, round(total / 60))} min")
    except (SourceError, OSError):  # a model that is not on this machine yet; the step that looks for it says so
        expected, total = {number: 1.0 for number, *_ in jobs}, 0.0
        logger.info(f"{len(jobs)} steps, {at_once} at once; how long they take cannot be told before the models are here")
    if not workflow.output_settings.verbose:
        quieten(logger, Progress(expected, total))


def conclude():
    """Say who won, which checks failed and where the report is, after a run that wrote one."""
    verdict, page = Path("results/verdict.txt"), Path("results/report.html")
    if RECORDS and verdict.is_file():
        logger.info(verdict.read_text("utf-8").rstrip())
        logger.info(f"report: {page.resolve()}")


onstart:
    claim(Path.cwd())
    announce(workflow)


onsuccess:
    conclude()
