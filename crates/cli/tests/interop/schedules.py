"""Schedules as the packages of Celery's world store them: one entry of each kind, made by the packages themselves.

The moments are fixed, so that what an import makes of them can be compared word by word.
"""

import datetime as dt
import json
import os
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from house import VERSIONS, app, tell

UTC = dt.timezone.utc
LAST = dt.datetime(2026, 11, 20, 4, 0, 29, 147359, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def start_django(url):
    """Sets Django up on a database, and makes the tables by its migrations."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    place = urlsplit(url)
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": place.path[1:]}
    if place.scheme.startswith("postgres"):
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": place.path[1:],
            "USER": place.username,
            "HOST": place.hostname,
            "PORT": place.port,
        }
    settings.configure(
        INSTALLED_APPS=["django_celery_beat"],
        DATABASES={"default": database},
        USE_TZ=os.environ.get("NAIVE") != "1",
        TIME_ZONE=os.environ.get("TIME_ZONE", "UTC"),
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    call_command("migrate", verbosity=0)


def at(*civil, zone=UTC):
    """A moment as Django takes it: naive where it was told to use no zones."""
    moment = dt.datetime(*civil, tzinfo=zone)
    if os.environ.get("NAIVE") != "1":
        return moment
    return moment.astimezone(ZoneInfo(os.environ["TIME_ZONE"])).replace(tzinfo=None)


def of_django():
    """One entry of each kind by django-celery-beat."""
    from django_celery_beat import models

    def crontab(zone="UTC", **fields):
        return {"crontab": models.CrontabSchedule.objects.create(timezone=zone, **fields)}

    def interval(every, period):
        return {"interval": models.IntervalSchedule.objects.create(every=every, period=period)}

    def clocked(*civil, **zone):
        return {"clocked": models.ClockedSchedule.objects.create(clocked_time=at(*civil, **zone)), "one_off": True}

    def solar(event, latitude, longitude):
        return {"solar": models.SolarSchedule.objects.create(event=event, latitude=latitude, longitude=longitude)}

    def add(name, schedule, **fields):
        ran = fields.pop("ran", None)
        ran = ran and at(*ran.timetuple()[:6], ran.microsecond)
        models.PeriodicTask.objects.create(name=name, task=fields.pop("task", "py.seen"), **schedule, **fields)
        if ran:
            models.PeriodicTask.objects.filter(name=name).update(last_run_at=ran, total_run_count=7)

    every_kind(add, crontab, interval, clocked, solar)
    install_cleanup_of_django()
    tell(sorted(models.PeriodicTask.objects.values_list("name", flat=True)))


def install_cleanup_of_django():
    """What beat itself adds when it starts."""
    from django_celery_beat.schedulers import DatabaseScheduler

    app.conf.result_expires = 3600
    DatabaseScheduler(app=app, lazy=True).install_default_entries({})


def of_sqlalchemy(url, schema=None):
    """One entry of each kind by sqlalchemy-celery-beat."""
    from sqlalchemy_celery_beat import models
    from sqlalchemy_celery_beat.session import SessionManager

    manager = SessionManager()
    engine, Session = manager.create_session(url, **({"schema": schema} if schema else {}))
    manager.prepare_models(engine, **({"schema": schema} if schema else {}))
    session = Session()
    session.expire_on_commit = False
    columns = models.PeriodicTask.__table__.columns.keys()

    def stored(model):
        session.add(model)
        session.flush()
        return model

    def linked(kind, model):
        if "discriminator" in columns:
            return {"schedule_model": model}
        return {kind: model}

    def crontab(zone="UTC", **fields):
        return linked("crontab", stored(models.CrontabSchedule(timezone=zone, **fields)))

    def interval(every, period):
        return linked("interval", stored(models.IntervalSchedule(every=every, period=period)))

    def clocked(*civil, **zone):
        model = stored(models.ClockedSchedule(clocked_time=at(*civil, **zone).astimezone(UTC)))
        return {**linked("clocked", model), "one_off": True}

    def solar(event, latitude, longitude):
        return linked("solar", stored(models.SolarSchedule(event=event, latitude=latitude, longitude=longitude)))

    def add(name, schedule, **fields):
        ran = fields.pop("ran", None)
        if ran:
            fields.update(last_run_at=ran, total_run_count=7)
        known = {key: value for key, value in fields.items() if key in columns}
        session.add(models.PeriodicTask(name=name, task=known.pop("task", "py.seen"), **schedule, **known))

    every_kind(add, crontab, interval, clocked, solar)
    session.commit()
    tell(sorted(name for (name,) in session.query(models.PeriodicTask.name)))


def every_kind(add, crontab, interval, clocked, solar):
    """The entries that both packages with tables can hold."""
    add("crontab with zone", crontab("Europe/Berlin", minute="30", hour="2", day_of_week="mon-fri"), ran=LAST)
    add("crontab around the week", crontab(minute="*/7", hour="8-10,20", day_of_week="fri-mon"))
    add("crontab of both days", crontab(minute="0", hour="0", day_of_month="13", day_of_week="5", month_of_year="jan-mar"))
    for every, period in [(2, "days"), (3, "hours"), (5, "minutes"), (30, "seconds"), (250, "microseconds")]:
        add(f"every {every} {period}", interval(every, period), ran=LAST)
    add("never ran", interval(15, "minutes"))
    add("sunset", solar("sunset", 52.52, 13.405), ran=LAST)
    add("clocked", clocked(2099, 1, 1, 10, 0, zone=BERLIN))
    add("clocked, too late", clocked(2026, 1, 1, 10, 0))
    add("disabled", interval(10, "minutes"), enabled=False)
    add("once", crontab(minute="0", hour="6"), one_off=True)
    add("once, and it has", crontab(minute="0", hour="7"), one_off=True, ran=LAST)
    add(
        "with everything",
        interval(1, "hours"),
        args=json.dumps([1, "ä", {"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}}]),
        kwargs=json.dumps({"big": 123456789012345678901234567890, "none": None}),
        queue="slow",
        priority=3,
        headers=json.dumps({"tenant": "acme", "n": 1}),
        expire_seconds=90,
        start_time=at(2026, 11, 1, 12, 0),
        description="Says what it is for.",
        ran=LAST,
    )
    add("until", interval(1, "hours"), expires=at(2099, 6, 1, 0, 0), ran=LAST)
    add("over", interval(1, "hours"), expires=at(2026, 6, 1, 0, 0), ran=LAST)
    add("to an exchange", interval(1, "hours"), exchange="news", routing_key="feed.sport")
    add("to its own exchange", interval(1, "hours"), queue="slow", exchange="slow", routing_key="slow")
    add("with a key alone", interval(1, "hours"), routing_key="slow")
    add("priority too high", interval(1, "hours"), priority=200)
    add("arguments that are none", interval(1, "hours"), args="[1,")
    add("arguments by name only", interval(1, "hours"), args='{"a": 1}')


def of_redbeat(prefix=None):
    """One entry of each kind by redbeat, in the Redis of the queues."""
    from celery.schedules import crontab, schedule
    from redbeat import RedBeatSchedulerEntry
    from redbeat.schedules import rrule

    app.conf.redbeat_redis_url = os.environ["BROKER"]
    if prefix:
        app.conf.redbeat_key_prefix = prefix

    def add(name, when, ran=None, **fields):
        entry = RedBeatSchedulerEntry(name, fields.pop("task", "py.seen"), when, app=app, **fields)
        # A new entry says that it ran just now.
        entry.last_run_at = ran
        entry.save()
        if ran:
            entry.total_run_count = 6
            entry._next_instance(last_run_at=ran)

    seconds = lambda count: dt.timedelta(seconds=count)
    add("crontab", crontab(minute="30", hour=2, day_of_week="mon-fri"), ran=LAST)
    add("crontab around the week", crontab(minute="*/7", hour="8-10,20", day_of_week="fri-mon"))
    add("interval", schedule(seconds(300)), ran=LAST)
    add("a second and a half", schedule(seconds(1.5)), ran=LAST)
    add("relative", schedule(dt.timedelta(days=2), relative=True), ran=LAST)
    add("never ran", schedule(seconds(900)))
    add("disabled", schedule(seconds(600)), enabled=False)
    add(
        "with everything",
        schedule(seconds(3600)),
        args=[1, "ä"],
        kwargs={"big": 123456789012345678901234567890},
        options={
            "queue": "slow",
            "priority": 3,
            "headers": {"tenant": "acme"},
            "expires": 90,
            "countdown": 5,
        },
        ran=LAST,
    )
    add("until", schedule(seconds(3600)), options={"expires": dt.datetime(2099, 6, 1, tzinfo=BERLIN)}, ran=LAST)
    begin = dt.datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    add("rule of every third day", rrule("DAILY", dtstart=begin, interval=3), ran=LAST)
    add("rule of weekdays", rrule("WEEKLY", dtstart=begin, byweekday=[0, 2, 4], byhour=[8, 20]), ran=LAST)
    add("rule of last fridays", rrule("MONTHLY", dtstart=begin, byweekday=4, bysetpos=-1), ran=LAST)
    add("rule that ends by count", rrule("DAILY", dtstart=begin, count=5), ran=LAST)
    app.conf.beat_schedule = {"static": {"task": "py.seen", "schedule": 60.0, "args": [2]}}
    from redbeat import RedBeatScheduler

    RedBeatScheduler(app=app, lazy=False)
    import redis

    client = redis.Redis.from_url(os.environ["BROKER"], decode_responses=True)
    tell(sorted(client.zrange((prefix or "redbeat:") + ":schedule", 0, -1)))


@app.task(name="py.seen", bind=True)
def seen(self, *args, **kwargs):
    """Notes what it was given, and by which entry."""
    request = self.request
    told = {
        "name": request.get("periodic_task_name"),
        "from_beat": request.get("celery_beat_task"),
        "args": [[type(value).__name__, str(value)] for value in args],
        "kwargs": sorted([name, str(value)] for name, value in kwargs.items()),
        "queue": request.delivery_info["routing_key"],
        "priority": request.delivery_info["priority"],
        "tenant": request.get("tenant"),
        "expires": request.expires and str(request.expires),
    }
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(told) + "\n")
