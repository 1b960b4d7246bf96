//! Lists and counts show what they are asked for.

use std::time::Duration;

use celeriac_db::testing::TestDatabase;
use celeriac_protocol::{JobFacts, JobId, JobStatus};
use celeriac_store::query::jobs::{self, ArgumentFilter, JobFilter, StatusFilter};

use crate::kit::{self, Story, at, facts};

/// Ten jobs: `dead`, `failed`, `running`, `pending` and six that are done, some of another task.
async fn ten_jobs() -> TestDatabase {
    let db = kit::database().await;
    let mut events = Vec::new();
    let mut tell = |id: &str, seconds: i64, end: fn(&mut Story) -> &mut Story| {
        let mut facts = facts(id);
        if id.starts_with("done") {
            (facts.schedule, facts.schedule_due_at) = (Some("nightly".into()), Some(at(seconds)));
        }
        if id.starts_with("other") {
            (facts.task, facts.job_type, facts.queue) = ("other.task".into(), "other".into(), "mail".into());
        }
        let mut story = Story { seconds, ..Story::of(facts) };
        end(story.enqueued());
        events.extend(story.events);
    };
    tell("dead", 0, |story| story.started("w1").failed("Disk 100% full", true));
    tell("failed", 10, |story| story.started("w2").failed("disk_empty", false));
    tell("running", 20, |story| story.started("w1"));
    tell("pending", 30, |story| story);
    for (id, seconds) in
        [("done-1", 40), ("done-2", 50), ("other-1", 60), ("other-2", 70), ("done-3", 80), ("done-4", 90)]
    {
        tell(id, seconds, |story| story.started("w1").succeeded("1"));
    }
    kit::record(&db, &events).await;
    db
}

async fn ids(db: &TestDatabase, filter: JobFilter) -> Vec<String> {
    let page = jobs::list(db.reader(), &filter, None, 100).await.unwrap();
    page.jobs.iter().map(|job| job.id.to_string()).collect()
}

#[tokio::test]
async fn each_filter_shows_what_it_says() {
    let db = ten_jobs().await;
    let text = |text: &str| Some(text.to_owned());
    let status = |word: &str| JobFilter { status: Some(word.parse().unwrap()), ..Default::default() };
    let with_error = |part: &str| JobFilter { error_text: text(part), ..Default::default() };
    let beginning = |prefix: &str| JobFilter { id_prefix: text(prefix), ..Default::default() };
    let tasks = |names: &[&str]| JobFilter {
        any_task: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let argument = |path: &str, value: &str, filter: JobFilter| JobFilter {
        arguments: vec![ArgumentFilter { path: path.parse().unwrap(), value: value.to_owned() }],
        ..filter
    };
    let took = |longer: Option<u64>, shorter: Option<u64>, filter: JobFilter| JobFilter {
        longer_than: longer.map(Duration::from_secs),
        shorter_than: shorter.map(Duration::from_secs),
        ..filter
    };
    for (filter, expected) in [
        (beginning("other"), vec!["other-2", "other-1"]),
        (beginning("done-1"), vec!["done-1"]),
        // Neither upper case nor wildcards stand for anything else.
        (beginning("Done"), vec![]),
        (beginning("d_ne"), vec![]),
        (beginning("d%"), vec![]),
        (status("dead"), vec!["dead"]),
        (status("failed"), vec!["failed", "dead"]),
        (status("running"), vec!["running"]),
        (status("pending"), vec!["pending"]),
        (status("retrying"), vec![]),
        (status("completed"), vec!["done-4", "done-3", "other-2", "other-1", "done-2", "done-1"]),
        (JobFilter { task: text("other.task"), ..Default::default() }, vec!["other-2", "other-1"]),
        (JobFilter { job_type: text("other"), ..Default::default() }, vec!["other-2", "other-1"]),
        (JobFilter { queue: text("mail"), ..Default::default() }, vec!["other-2", "other-1"]),
        (JobFilter { worker: text("w2"), ..Default::default() }, vec!["failed"]),
        (JobFilter { since: Some(at(80)), ..Default::default() }, vec!["done-4", "done-3"]),
        (JobFilter { until: Some(at(20)), ..Default::default() }, vec!["failed", "dead"]),
        (with_error("DISK"), vec!["failed", "dead"]),
        (with_error("100%"), vec!["dead"]),
        (with_error("%"), vec!["dead"]),
        (with_error("disk_"), vec!["failed"]),
        (JobFilter { worker: text("w1"), ..status("dead") }, vec!["dead"]),
        (JobFilter { account_key: text("nobody"), ..Default::default() }, vec![]),
        (
            JobFilter { schedule: text("nightly"), ..Default::default() },
            vec!["done-4", "done-3", "done-2", "done-1"],
        ),
        (JobFilter { schedule: text("night"), ..Default::default() }, vec![]),
        (tasks(&["other.task", "nobody.knows"]), vec!["other-2", "other-1"]),
        (argument("account_key", "shop-1", tasks(&["other.task"])), vec!["other-2", "other-1"]),
        (argument("1", "2.50", tasks(&["other.task"])), vec!["other-2", "other-1"]),
        (argument("1", "2.5", tasks(&["other.task"])), vec![]),
        (argument("account", "shop-1", JobFilter::default()), vec![]),
        (took(Some(0), None, status("dead")), vec!["dead"]),
        (took(Some(3_600), None, status("dead")), vec![]),
        (took(None, Some(3_600), status("failed")), vec!["failed", "dead"]),
        (took(None, Some(3_600), status("running")), vec![]),
    ] {
        assert_eq!(ids(&db, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let db = ten_jobs().await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = jobs::list(db.reader(), &JobFilter::default(), before, 3).await.unwrap();
        assert!(page.jobs.len() <= 3 && !page.jobs.is_empty());
        seen.extend(page.jobs.iter().map(|job| job.id.to_string()));
        // A job that comes in between is on no later page, and moves none.
        let mut late = Story::new(&format!("late-{}", seen.len()));
        kit::record(&db, &late.enqueued().events).await;
        match page.next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    let expected = [
        "done-4", "done-3", "other-2", "other-1", "done-2", "done-1", "pending", "running", "failed", "dead",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_search_finds_what_a_list_finds_and_needs_no_second_look_in_a_small_table() {
    let db = ten_jobs().await;
    for filter in [
        JobFilter::default(),
        JobFilter { queue: Some("mail".into()), ..Default::default() },
        JobFilter { status: Some("completed".parse().unwrap()), ..Default::default() },
        JobFilter { error_text: Some("disk".into()), ..Default::default() },
    ] {
        let found = jobs::search(db.reader(), &filter, None, 100).await.unwrap();
        let seen: Vec<String> = found.jobs.iter().map(|job| job.id.to_string()).collect();
        assert_eq!(
            (seen, found.next, found.cut),
            (ids(&db, filter.clone()).await, None, false),
            "{filter:?}"
        );
    }
    let page = jobs::search(db.reader(), &JobFilter::default(), None, 4).await.unwrap();
    let rest = jobs::search(db.reader(), &JobFilter::default(), page.next, 100).await.unwrap();
    assert_eq!((page.jobs.len(), rest.jobs.len(), page.cut), (4, 6, false));
}

#[tokio::test]
async fn a_search_that_no_index_answers_ends_at_its_window_and_goes_on_from_there() {
    let db = ten_jobs().await;
    let filter = JobFilter { worker: Some("w2".into()), ..Default::default() };
    // As though as many jobs had come since.
    let newer = Some(jobs::SEARCH_WINDOW + 5);
    let page = jobs::search(db.reader(), &filter, newer, 100).await.unwrap();
    assert_eq!((page.jobs.len(), page.next, page.cut), (0, Some(5), true));
    let page = jobs::search(db.reader(), &filter, page.next, 100).await.unwrap();
    assert_eq!((page.jobs.len(), page.next, page.cut), (1, None, false));
    let by_status = JobFilter { status: Some("failed".parse().unwrap()), ..Default::default() };
    let page = jobs::search(db.reader(), &by_status, newer, 100).await.unwrap();
    assert_eq!((page.jobs.len(), page.cut), (2, false), "an index leads there");
}

#[tokio::test]
async fn counts_are_kept_by_status_and_task() {
    let db = ten_jobs().await;
    let all = jobs::counts(db.reader(), None).await.unwrap();
    let of = |counts: &jobs::JobCounts| JobStatus::ALL.map(|status| counts.of(status));
    assert_eq!((of(&all), all.dead, all.total()), ([0, 1, 1, 0, 6, 2, 0], 1, 10));
    let other = jobs::counts(db.reader(), Some("other.task")).await.unwrap();
    assert_eq!((other.of(JobStatus::Completed), other.total()), (2, 2));
    let by_task = jobs::counts_by_task(db.reader()).await.unwrap();
    assert_eq!(by_task.keys().collect::<Vec<_>>(), ["other.task", "shop.scrape"]);
    assert_eq!(by_task["shop.scrape"].dead, 1);
}

#[tokio::test]
async fn progress_tells_what_a_waiting_caller_wants_to_know() {
    let db = ten_jobs().await;
    let progress = async |id: &str| jobs::progress(db.reader(), &JobId::parse(id).unwrap()).await.unwrap();
    let dead = progress("dead").await.unwrap();
    assert_eq!((dead.status, dead.error.unwrap().message.as_str()), (JobStatus::Failed, "Disk 100% full"));
    let done = progress("done-1").await.unwrap();
    assert_eq!((done.percent, done.result.unwrap().get()), (100, "1"));
    assert!(progress("nobody").await.is_none());
}

#[tokio::test]
async fn silent_jobs_are_found_by_status_and_age() {
    let db = ten_jobs().await;
    let silent = async |status, before| {
        let found = jobs::silent(db.reader(), status, before, 0, 10).await.unwrap();
        found.into_iter().map(|job| job.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(silent(JobStatus::Running, at(22)).await, ["running"]);
    assert!(silent(JobStatus::Running, at(21)).await.is_empty());
    assert_eq!(silent(JobStatus::Pending, at(500)).await, ["pending"]);
}

#[test]
fn a_status_filter_is_one_of_the_seven_words_or_dead() {
    assert_eq!("dead".parse(), Ok(StatusFilter::Dead));
    assert_eq!("failed".parse(), Ok(StatusFilter::In(JobStatus::Failed)));
    assert!("zombie".parse::<StatusFilter>().is_err());
}

#[tokio::test]
async fn facts_read_back_from_a_record_are_those_that_were_told() {
    let db = kit::database().await;
    let parent = Some(JobId::parse("parent").unwrap());
    let told = JobFacts {
        eta: Some(at(9)),
        expires: Some(at(99)),
        root_id: parent.clone(),
        parent_id: parent,
        schedule: Some("nightly".into()),
        schedule_due_at: Some(at(7)),
        ..facts("a")
    };
    kit::record(&db, &Story::of(told.clone()).enqueued().events).await;
    let read = kit::find(&db, "a").await.facts();
    assert_eq!(format!("{read:?}"), format!("{:?}", JobFacts { created_at: Some(at(0)), ..told }));
}

#[tokio::test]
async fn what_fits_is_counted_up_to_a_bound() {
    let db = kit::database().await;
    let mut events = Vec::new();
    for number in 0..5 {
        let mut story = Story::new(&format!("job-{number}"));
        story.enqueued().started("w");
        events.extend(if number < 3 { story.succeeded("1").events.clone() } else { story.events.clone() });
    }
    kit::record(&db, &events).await;
    let count = async |status: &str, most| {
        let filter = JobFilter { status: Some(status.parse().unwrap()), ..JobFilter::default() };
        let counted = jobs::count(db.reader(), &filter, most).await.unwrap();
        (counted.jobs, counted.more)
    };
    assert_eq!(count("completed", 10).await, (3, false));
    assert_eq!(count("ended", 3).await, (3, false));
    assert_eq!(count("ended", 2).await, (2, true));
    assert_eq!(count("open", 10).await, (2, false));
    assert_eq!(count("dead", 10).await, (0, false));
}
