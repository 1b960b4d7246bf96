"""The Python side of the tests: an app with Celery, its client's words and its worker's tasks."""

import json
import os
import platform
import time

import celery
import kombu
import redis
from celery import Celery, chain, chord, group, signals
from celery.result import AsyncResult

app = Celery("house", broker=os.environ["BROKER"], backend=os.environ.get("BACKEND", os.environ["RESULTS"]))
if os.environ["BROKER"].startswith("redis"):
    app.conf.broker_transport_options = {"visibility_timeout": int(os.environ.get("VISIBILITY", "3600"))}
app.conf.update(
    accept_content=os.environ.get("ACCEPT", "json").split(","),
    broker_connection_retry_on_startup=True,
    include=[name for name in os.environ.get("TASKS", "").split(",") if name],
    result_compression=os.environ.get("RESULT_COMPRESSION") or None,
    result_extended=True,
    result_serializer=os.environ.get("RESULT_SERIALIZER", "json"),
    task_queue_max_priority=int(os.environ.get("MAX_PRIORITY", "0")) or None,
    task_acks_late=os.environ.get("ACKS_LATE") == "1",
    task_track_started=True,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    worker_redirect_stdouts=False,
)
if "TOPIC" in os.environ:
    app.conf.task_queues = [kombu.Queue("feeds", kombu.Exchange("news", type="topic"), routing_key=os.environ["TOPIC"])]

VERSIONS = "celery {}, kombu {}, redis-py {}, Python {}".format(
    celery.__version__, kombu.__version__, redis.__version__, platform.python_version()
)


def tell(value):
    """Answers the test, and says who answers."""
    print(json.dumps({"versions": VERSIONS, "value": value}), flush=True)


def send(name, *args, **options):
    """Sends a task of our worker's, of which Python knows only the name."""
    return app.send_task(name, args, **options)


def failure(result, timeout=20):
    """Waits for a result that is an exception, and tells of it."""
    try:
        result.get(timeout=timeout)
    except Exception as error:
        return [type(error).__name__, str(error), result.state, result.traceback is not None]
    return ["nothing failed", "", result.state, False]


def until(is_so, timeout=20):
    """Waits until something is so."""
    end = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)
    return True


@signals.worker_ready.connect
def ready(**_):
    tell("ready")


@app.task(name="py.add")
def add(x, y=10):
    return x + y


@app.task(name="both.add")
def both(x, y):
    time.sleep(0.01)
    return [x + y, "python"]


@app.task(name="both.flaky", bind=True)
def both_flaky(self):
    return ["python", self.request.retries]


@app.task(name="py.types")
def types(*values):
    return [[type(value).__name__, str(value)] for value in values]


@app.task(name="py.fail")
def fail(text):
    raise ValueError(text, 42)


@app.task(name="py.flaky", bind=True, max_retries=2)
def flaky(self):
    if self.request.retries == 0:
        raise self.retry(exc=KeyError("first"), countdown=1)
    return self.request.retries


@app.task(name="py.when")
def when():
    return time.time()


@app.task(name="py.progress", bind=True)
def progress(self, path):
    self.update_state(state="PROGRESS", meta={"current": 1, "total": 4, "message": "on it"})
    until(lambda: os.path.exists(path))
    return "done"


@app.task(name="py.hold")
def hold(path, log):
    with open(log, "a") as file:
        file.write("held\n")
    until(lambda: os.path.exists(path))
    return "let go"


@app.task(name="py.log")
def log(text, path):
    with open(path, "a") as file:
        file.write(text + "\n")
