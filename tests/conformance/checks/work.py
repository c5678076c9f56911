"""Jobs."""

from databricks.sdk.errors import NotFound
from databricks.sdk.service import compute, jobs

from expect import expect, expect_equal, expect_error


def check_jobs_of_many_tasks(env):
    api = env.client.jobs
    task = lambda key, **more: jobs.Task(  # noqa: E731
        task_key=key,
        notebook_task=jobs.NotebookTask(notebook_path="/Shared/x"),
        new_cluster=compute.ClusterSpec(spark_version="15.4.x-scala2.12", node_type_id="i3.xlarge", num_workers=1),
        **more,
    )
    tasks = [task("t000")]
    tasks += [task(f"t{n:03}", depends_on=[jobs.TaskDependency("t000")]) for n in range(1, 130)]
    made = api.create(name="conformance job", tasks=tasks)
    expect(made.job_id > 2**53, "ids of jobs need 64 bits")
    expect_equal(len(api.get(made.job_id).settings.tasks), 130, "tasks of the job, over all pages")
    api.update(made.job_id, new_settings=jobs.JobSettings(max_concurrent_runs=4))
    settings = api.get(made.job_id).settings
    expect_equal((settings.max_concurrent_runs, len(settings.tasks)), (4, 130), "job after update")
    with expect_error(NotFound, "does not exist"):
        api.get(1)

    env.backup()
    wanted = {str(job.job_id) for job in api.list()}
    expect_equal({item["id"] for item in env.objects("job")}, wanted, "jobs")
    kept = env.body("job", "conformance job")["tasks"]
    expect_equal([task["task_key"] for task in kept], [f"t{n:03}" for n in range(130)], "tasks in the snapshot")
    api.reset(made.job_id, new_settings=jobs.JobSettings(name="conformance job", tasks=[task("only")]))
    expect_equal([t.task_key for t in api.get(made.job_id).settings.tasks], ["only"], "tasks after reset")
    api.delete(made.job_id)
    with expect_error(NotFound):
        api.get(made.job_id)


def check_jobs_run_unless_they_are_said_to_be_paused(env):
    api = env.client.jobs
    status = jobs.PauseStatus
    daily = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}
    for name, said, wanted in (("unsaid", None, status.UNPAUSED), ("paused", status.PAUSED, status.PAUSED)):
        made = api.create(name=f"{name} job", schedule=jobs.CronSchedule(**daily, pause_status=said))
        expect_equal(api.get(made.job_id).settings.schedule.pause_status, wanted, f"whether the {name} job waits")
        env.backup()
        kept = env.body("job", f"{name} job")["schedule"]
        expect_equal(kept, daily | {"pause_status": wanted.value}, f"schedule of the {name} job in the snapshot")
        api.delete(made.job_id)
