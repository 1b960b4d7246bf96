"""A schedule of which a hundredth is due within the minute, in an application with Celery."""

import os
import time
from datetime import datetime, timedelta, timezone

from celery import Celery
from celery.signals import before_task_publish

START = float(os.environ["START"])
ENTRIES = int(os.environ["ENTRIES"])
DUE = ENTRIES // 100
SENT = open(os.environ["SENT"], "a", buffering=1)

app = Celery("schedule", broker=os.environ["BROKER"])


def entry(number):
    """Returns an entry that last ran one period before it is due."""
    if number < DUE:
        period, first = timedelta(minutes=1), START + 60 * number / DUE
    else:
        period, first = timedelta(days=1), START + 6 * 3600 + 12 * 3600 * number / ENTRIES
    last_run_at = datetime.fromtimestamp(first, timezone.utc) - period
    return {"task": "bench.quiet", "schedule": period, "args": (number,), "last_run_at": last_run_at}


app.conf.beat_schedule = {f"entry-{number:07}": entry(number) for number in range(ENTRIES)}


@before_task_publish.connect
def note(body=None, **_):
    """Notes when the message of which entry is published."""
    SENT.write(f"{time.time()} {body[0][0]}\n")
