//! Settings of workflows, changed while everything runs.

use std::sync::Arc;
use std::time::Duration;

use celeriac_control::workflow::{
    ChangeError, ChangedBy, Lookout, SettingInForce, SettingsDesk, Workflow as _, WorkflowSettings,
    WorkflowStarter,
};
use celeriac_control::{Loop as _, LoopCtx};
use celeriac_db::DbTx;
use celeriac_protocol::{Clock as _, JobId};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::ScheduleEntry;
use celeriac_store::query::workflows::{SlotRequest, changed_settings, save_settings, take_slot};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::cadence::Timed;
use super::workflow::Act;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A workflow whose settings are changed from another process.
struct Changing {
    timed: Timed,
    desk: SettingsDesk,
    workflow: Lookout,
}

impl Changing {
    async fn new() -> Self {
        let settings = WorkflowSettings::default();
        let timed = Timed::new(settings.clone()).await;
        let desk = SettingsDesk::new(&timed.environment());
        Self { timed, desk, workflow: Lookout::of::<Act>(settings) }
    }

    async fn try_set(&self, changes: &[(&str, &str)]) -> Result<Vec<SettingInForce>, ChangeError> {
        let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
        self.desk.set(&self.workflow, changes.collect(), "ada@host").await
    }

    async fn set(&self, changes: &[(&str, &str)]) -> Vec<SettingInForce> {
        self.try_set(changes).await.unwrap()
    }

    async fn unset(&self, keys: &[&str]) {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.desk.unset(&self.workflow, &keys, "ada@host").await.unwrap();
    }

    async fn setting(&self, name: &str) -> SettingInForce {
        let settings = self.desk.settings(&self.workflow).await.unwrap();
        settings.into_iter().find(|setting| setting.name == name).unwrap()
    }

    async fn value(&self, name: &str) -> Value {
        self.setting(name).await.value
    }

    async fn spec(&self) -> String {
        self.timed.entry().await.0.spec
    }
}

#[tokio::test]
async fn every_setting_is_told_with_what_is_declared_and_who_changed_it() {
    let changing = Changing::new().await;
    let settings = changing.desk.settings(&changing.workflow).await.unwrap();
    assert_eq!(settings.len(), 16);
    assert!(settings.iter().all(|setting| setting.changed.is_none() && setting.value == setting.declared));
    changing.timed.clock().advance(SECOND);
    changing.set(&[("batch_size", "50"), ("interval", "5m")]).await;
    let by = Some(ChangedBy { by: Some("ada@host".to_owned()), at: changing.timed.clock().now() });
    for (name, value, declared) in
        [("batch_size", json!(50), json!(10)), ("interval", json!("5m"), json!("1m"))]
    {
        let told = changing.setting(name).await;
        assert_eq!((told.value, told.declared, told.changed), (value, declared, by.clone()), "{name}");
    }
    changing.unset(&["batch_size", "interval"]).await;
    assert!(changing.setting("batch_size").await.changed.is_none());
    assert_eq!((changing.spec().await.as_str(), changing.value("interval").await), ("every 1m", json!("1m")));
    let stored = changed_settings(changing.timed.bench.test.reader(), Act::NAME).await.unwrap();
    assert!(stored.is_none_or(|text| !text.contains("interval")));
}

#[tokio::test]
async fn a_changed_batch_is_in_force_for_the_next_run() {
    let changing = Changing::new().await;
    changing.set(&[("batch_size", "2"), ("continuous", "false")]).await;
    changing.timed.bench.add(&["a"; 5]).await;
    for done in [2, 4, 5] {
        changing.timed.bench.run().await;
        assert_eq!(changing.timed.done().await, done);
    }
}

#[tokio::test]
async fn a_changed_interval_holds_from_now_on_for_every_scheduler() {
    let changing = Changing::new().await;
    changing.timed.bench.add(&["a"]).await;
    changing.timed.advance(10 * SECOND).await;
    changing.set(&[("interval", "20s")]).await;
    let due = changing.timed.entry().await.1.next_due_at.unwrap();
    assert!(due.since(changing.timed.clock().now()) <= 20 * SECOND);
    changing.timed.advance(20 * SECOND).await;
    assert_eq!(changing.timed.waiting().await, 1);
}

#[tokio::test]
async fn a_crontab_takes_the_place_of_the_interval_and_an_interval_that_of_the_crontab() {
    let changing = Changing::new().await;
    changing.set(&[("cron", "0 2 * * *"), ("timezone", "Europe/Berlin")]).await;
    let entry = changing.timed.entry().await.0;
    assert_eq!((entry.spec.as_str(), entry.zone.as_str()), ("crontab 0 2 * * *", "Europe/Berlin"));
    changing.set(&[("interval", "30s")]).await;
    assert_eq!((changing.spec().await.as_str(), changing.value("cron").await), ("every 30s", json!("")));
    changing.set(&[("cron", "@daily")]).await;
    changing.unset(&["cron", "interval"]).await;
    assert_eq!(changing.spec().await, "every 1m");
}

#[tokio::test]
async fn a_starter_goes_by_changed_settings_at_its_next_look() {
    let changing = Changing::new().await;
    let clock = changing.timed.clock().clone();
    let workflow = changing.timed.bench.workflows.find(Act::NAME).unwrap();
    let starter = WorkflowStarter::new(workflow, &changing.timed.environment());
    let ctx = LoopCtx::new(Arc::new(clock.clone()), CancellationToken::new());
    let started = async || {
        clock.advance(Duration::from_millis(100));
        starter.pass(&ctx).await.unwrap().numbers.contains(&("started", 1))
    };
    changing.set(&[("enabled", "false")]).await;
    changing.timed.bench.add(&["a"]).await;
    assert!(!started().await, "it is switched off");
    changing.set(&[("enabled", "true"), ("cron", "0 2 * * *")]).await;
    assert!(!started().await, "it goes by its crontab");
    changing.unset(&["cron"]).await;
    assert!(started().await);
    changing.set(&[("max_instances", "1")]).await;
    changing.timed.hold_slot(MINUTE).await;
    assert!(!started().await, "one run goes on");
}

#[tokio::test]
async fn never_more_runs_begin_than_a_lower_number_allows() {
    let changing = Changing::new().await;
    let now = changing.timed.clock().now();
    changing.set(&[("max_instances", "3")]).await;
    assert_eq!(changing.timed.entry().await.0.max_instances, 3);
    let take = async |max_instances: u32, fence: i64| {
        let holder = JobId::fresh(now);
        let lease = if fence == 0 { MINUTE } else { 2 * MINUTE };
        let request = SlotRequest { workflow: Act::NAME, max_instances, holder, fence, now, lease };
        let take = async move |tx: &DbTx| take_slot(tx, &request).await;
        let taken: Result<_, StoreError> = changing.timed.bench.test.database().write("take", take).await;
        taken.unwrap().is_some()
    };
    for fence in 0..3 {
        assert!(take(3, fence).await);
    }
    changing.set(&[("max_instances", "1")]).await;
    // The first has ended, its slot is free; two go on in slots that are no more.
    changing.timed.clock().advance(MINUTE + SECOND);
    changing.timed.bench.add(&["a"]).await;
    let kit = &changing.timed.bench.kit;
    let run = celeriac_control::workflow::run_workflow(Act::NAME.to_owned());
    let job = kit.client().enqueue(run).await.unwrap();
    kit.drain().await;
    let ended = job.status().await.unwrap().unwrap();
    let reason = ended.cancel_reason.unwrap();
    assert_eq!(reason, "refused: all 1 slots of the workflow are taken");
}

#[tokio::test]
async fn what_can_not_be_is_refused_and_changes_nothing() {
    let changing = Changing::new().await;
    let refused = changing.try_set(&[("batch_size", "5"), ("batchsize", "5")]).await.unwrap_err();
    assert!(matches!(&refused, ChangeError::Unknown { setting, .. } if setting == "batchsize"), "{refused}");
    for (key, value, reason) in [
        ("batch_size", "0", "1 to 10000 are possible"),
        ("batch_size", "many", "invalid type"),
        ("interval", "soon", "is no span of time"),
        ("cron", "every 5m", "type five"),
        ("timezone", "Europe/Berln", "no time zone"),
        ("jitter", "2m", "would pass the next"),
        ("enabled", "perhaps", "invalid type"),
        ("misfire_grace", "0", "below a second"),
    ] {
        let refused = changing.try_set(&[("max_attempts", "9"), (key, value)]).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    let settings = changing.desk.settings(&changing.workflow).await.unwrap();
    assert!(settings.iter().all(|setting| setting.changed.is_none()));
}

#[tokio::test]
async fn an_edit_of_the_entry_is_told_of_and_what_it_says_beside_is_kept() {
    let changing = Changing::new().await;
    let edited =
        |entry| ScheduleEntry { spec: "every 7m".to_owned(), priority: Some(3), coalesce: false, ..entry };
    changing.timed.schedules().edit(Act::JOB, edited).await.unwrap();
    let told = changing.setting("interval").await;
    assert_eq!((told.value, told.changed.unwrap().by), (json!("7m"), None));
    changing.set(&[("jitter", "30s"), ("misfire_grace", "10s")]).await;
    let entry = changing.timed.entry().await.0;
    assert_eq!((entry.spec.as_str(), entry.priority, entry.coalesce), ("every 7m", Some(3), false));
    assert_eq!((entry.jitter, entry.misfire_grace), (30 * SECOND, Some(10 * SECOND)));
}

#[tokio::test]
async fn where_the_job_has_no_entry_only_what_needs_none_is_changed() {
    let changing = Changing::new().await;
    changing.timed.schedules().remove(Act::JOB).await.unwrap();
    let refused = changing.try_set(&[("interval", "5m")]).await.unwrap_err();
    assert!(matches!(refused, ChangeError::NoEntry { .. }), "{refused}");
    changing.set(&[("batch_size", "5")]).await;
    assert_eq!(changing.value("batch_size").await, json!(5));
}

#[tokio::test]
async fn changes_that_this_version_can_not_use_leave_what_is_declared() {
    let changing = Changing::new().await;
    let newer = json!({
        "batch_size": {"value": "dozens", "by": "newer", "at": 1},
        "colour": {"value": "green", "by": "newer", "at": 1},
        "max_attempts": {"value": 7, "by": "newer", "at": 1},
    });
    let save = async move |tx: &DbTx| save_settings(tx, Act::NAME, Some(newer.to_string())).await;
    let saved: Result<_, StoreError> = changing.timed.bench.test.database().write("save", save).await;
    saved.unwrap();
    assert_eq!(
        (changing.value("batch_size").await, changing.value("max_attempts").await),
        (json!(10), json!(7))
    );
}
