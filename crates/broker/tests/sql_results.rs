//! Results in the table of Celery's database backend, in a file and on a server.

#[cfg(test)]
mod on {
    use std::sync::Arc;
    use std::time::Duration;

    use celeriac_broker::sql::SqlResults;
    use celeriac_broker::{KeptResult, ResultStore};
    use celeriac_db::testing::TestDatabase;
    use celeriac_protocol::{
        BodyForm, Clock, Compression, JobId, ManualClock, Serializer, TaskResult, TaskState,
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    fn job(id: &str) -> JobId {
        JobId::parse(id).unwrap()
    }

    fn kept(id: &str, text: &str) -> KeptResult {
        KeptResult { id: job(id), body: text.into(), keep: Some(HOUR), reply_to: None }
    }

    fn success(result: &str) -> String {
        format!(
            r#"{{"status": "SUCCESS", "result": {result}, "traceback": null, "children": [[["b", null], null]], "date_done": "2026-01-02T03:04:05.678901Z", "name": "add", "args": [1], "kwargs": {{"y": 2}}, "worker": "w", "retries": 3, "queue": "q"}}"#
        )
    }

    async fn read(results: &SqlResults, id: &str) -> Option<TaskResult> {
        let found = results.get(&[job("none"), job(id)]).await.unwrap();
        assert!(found[0].is_none());
        found[1].as_ref().map(|bytes| TaskResult::decode(&job(id), bytes).unwrap())
    }

    async fn results_are_kept_whole_and_a_success_is_the_last_word(db: TestDatabase) {
        let forms = [
            BodyForm::default(),
            BodyForm { serializer: Serializer::Msgpack, compression: Some(Compression::Zstd) },
            BodyForm { serializer: Serializer::Yaml, compression: None },
        ];
        for (index, form) in forms.into_iter().enumerate() {
            // The second time the table is there.
            let results = SqlResults::open(db.database().clone(), form, Arc::new(ManualClock::default()))
                .await
                .unwrap();
            let id = format!("a{index}");
            results.put(&[kept(&id, r#"{"status": "STARTED", "result": {"pid": 1}}"#)]).await.unwrap();
            assert_eq!(read(&results, &id).await.unwrap().state, TaskState::Started);
            results
                .put(&[kept(&id, &success("[1.5,null]")), kept("other", "{\"status\": \"RETRY\"}")])
                .await
                .unwrap();
            results.put(&[kept(&id, r#"{"status": "FAILURE", "result": null}"#)]).await.unwrap();
            let result = read(&results, &id).await.unwrap();
            assert_eq!((result.state.clone(), result.result.get()), (TaskState::Success, "[1.5,null]"));
            assert_eq!(result.done_at, Some("2026-01-02T03:04:05.678901Z".parse().unwrap()));
            assert_eq!(result.children.get().replace(' ', ""), r#"[[["b",null],null]]"#);
            let told = result.extended.unwrap();
            assert_eq!((told.name.as_str(), told.args.get(), told.retries), ("add", "[1]", 3));
            assert_eq!((told.worker.as_deref(), told.queue.as_str()), (Some("w"), "q"));
            results.forget(&[job(&id)]).await.unwrap();
            assert!(read(&results, &id).await.is_none());
        }
    }

    async fn results_go_when_they_have_been_kept_long_enough(db: TestDatabase) {
        let clock = ManualClock::default();
        clock.advance(HOUR * 24);
        let results = SqlResults::open(db.database().clone(), BodyForm::default(), Arc::new(clock.clone()))
            .await
            .unwrap();
        let started = |id| kept(id, r#"{"status": "STARTED", "result": null}"#);
        results.put(&[started("old")]).await.unwrap();
        clock.advance(HOUR + Duration::from_secs(1));
        results.put(&[started("new")]).await.unwrap();
        assert!(read(&results, "old").await.is_none());
        assert!(read(&results, "new").await.is_some(), "{}", clock.now());
    }

    async fn a_failure_is_kept_whatever_it_says(db: TestDatabase) {
        let results =
            SqlResults::open(db.database().clone(), BodyForm::default(), Arc::new(ManualClock::default()))
                .await
                .unwrap();
        let failure = r#"{"status": "FAILURE", "result": {"exc_type": "E\u0000", "exc_message": ["a\u0000b"], "exc_module": "m"},
            "traceback": "at\u0000boom()", "children": [], "name": "a\u0000dd", "args": ["\u0000"], "kwargs": {}, "worker": "\u0000", "retries": 0, "queue": "q\u0000"}"#;
        results.put(&[kept("a", failure)]).await.unwrap();
        let result = read(&results, "a").await.unwrap();
        assert_eq!(result.state, TaskState::Failure);
        assert!(result.traceback.unwrap().ends_with("boom()"));
    }

    macro_rules! on {
        ($engine:ident, $open:ident: $($name:ident)*) => { mod $engine { $(
            #[tokio::test]
            async fn $name() {
                super::$name(celeriac_db::testing::TestDatabase::$open().await.unwrap()).await;
            }
        )* } };
    }

    on! { sqlite, open: results_are_kept_whole_and_a_success_is_the_last_word results_go_when_they_have_been_kept_long_enough a_failure_is_kept_whatever_it_says }
    on! { postgres, open_postgres: results_are_kept_whole_and_a_success_is_the_last_word results_go_when_they_have_been_kept_long_enough a_failure_is_kept_whatever_it_says }
}
