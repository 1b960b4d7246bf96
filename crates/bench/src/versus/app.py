"""The task that is measured, in an application with Celery."""

import os

from celery import Celery

app = Celery("versus", broker=os.environ["BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, task_acks_late=True, task_ignore_result=True)


@app.task(name="bench.quiet")
def quiet(number):
    """Does nothing."""


@app.task(name="bench.noop")
def noop(number):
    """Does nothing."""
