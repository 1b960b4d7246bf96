//! Entries of redbeat, read as they lie there.

use celeriac_broker::{BrokerError, RedbeatEntry, RedisOptions, read_redbeat};
use celeriac_peers::shared::redis_corner;

use super::support::Corner;

async fn read(on: &Corner, prefix: &str) -> Result<Vec<RedbeatEntry>, BrokerError> {
    read_redbeat(&RedisOptions::at(&on.url), prefix).await
}

#[tokio::test]
async fn every_entry_of_the_schedule_is_read_whatever_became_of_its_key() {
    let on = Corner::open().await;
    assert_eq!(read(&on, "redbeat:").await.unwrap(), []);
    // More than one call reads.
    for n in 0..1_200 {
        let key = format!("redbeat:{n:04}");
        on.say::<i64>("ZADD", &["redbeat::schedule", "-1", &key]).await;
        if n != 7 {
            on.say::<i64>("HSET", &[&key, "definition", "{}"]).await;
        }
    }
    on.say::<i64>("HSET", &["redbeat:0005", "meta", "{\"total_run_count\": 1}"]).await;
    let before: i64 = on.say("DBSIZE", &[] as &[&str]).await;
    let entries = read(&on, "redbeat:").await.unwrap();
    assert_eq!(entries.len(), 1_200);
    let entry =
        |n: usize| (entries[n].key.as_str(), entries[n].definition.as_deref(), entries[n].meta.as_deref());
    assert_eq!(entry(5), ("redbeat:0005", Some(&b"{}"[..]), Some(&b"{\"total_run_count\": 1}"[..])));
    assert_eq!(entry(7), ("redbeat:0007", None, None));
    assert_eq!(entry(1_199), ("redbeat:1199", Some(&b"{}"[..]), None));
    assert_eq!(on.say::<i64>("DBSIZE", &[] as &[&str]).await, before);
    assert_eq!(read(&on, "other:").await.unwrap(), []);
}

#[tokio::test]
async fn what_is_no_schedule_under_that_name_is_refused() {
    let on = Corner::open().await;
    on.say::<String>("SET", &["redbeat::schedule", "text"]).await;
    let refused = read(&on, "redbeat:").await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused { .. }), "{refused:?}");
    let url = redis_corner().unwrap().replace("redis://", "http://");
    assert!(matches!(
        read_redbeat(&RedisOptions::at(url), "redbeat:").await,
        Err(BrokerError::Refused { .. })
    ));
}
