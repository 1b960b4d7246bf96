//! Messages that nobody could or would run.

use celeriac_protocol::{Clock, Envelope};

use super::{Fixture, Outcome, content, ids_of, job, message, reject, requeue};
use crate::{Publication, Settle, Settled};

/// Nothing of it is lost: neither bytes nor what it took to get there.
pub async fn rejected_message_is_kept_with_its_bytes(on: Fixture) -> Outcome {
    let mut odd = Envelope { priority: Some(0), unique_key: on.key("k"), ..message("a") };
    odd.content.body = vec![0, 159, 146, 150];
    on.broker.publish(vec![odd.clone()]).await?;
    let held = on.fetch_one().await?;
    on.settle(held, requeue(None, false)).await?;
    on.pass(7);
    let held = on.fetch_one().await?;
    assert_eq!(on.settle(held, reject("undecodable")).await?, Settled::Done);
    let letter = on.broker.admin().dead_letter(&job("a")).await?.expect("it was rejected");
    assert_eq!(letter.envelope, odd);
    assert_eq!((letter.reason.as_str(), letter.detail.as_str()), ("undecodable", "because of undecodable"));
    assert_eq!((letter.delivery, letter.attempt, letter.died_at), (2, 1, on.clock.now()));
    assert!(on.fetch(5).await?.is_empty());
    Ok(())
}

/// A task may say anything, a NUL too, and that does not bring its message back.
pub async fn rejected_message_is_kept_whatever_is_said_of_it(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let settle = Settle::Reject { reason: "err\0or".into(), detail: "\0 in\0side\n".into() };
    let held = on.fetch_one().await?;
    assert_eq!(on.settle(held, settle).await?, Settled::Done);
    let letter = on.broker.admin().dead_letter(&job("a")).await?.expect("it was rejected");
    assert!(letter.detail.contains("side"), "{:?}", letter.detail);
    Ok(())
}

/// Pages go on where the last one ended, and end.
pub async fn letters_come_newest_first_and_in_pages(on: Fixture) -> Outcome {
    let ids = ["a", "b", "c", "d", "e"];
    bury(&on, &ids).await?;
    let (mut seen, mut before) = (Vec::new(), None);
    for size in [2, 2, 1] {
        let page = on.broker.admin().dead_letters(before, 2).await?;
        assert_eq!(page.letters.len(), size);
        seen.extend(page.letters.iter().map(|letter| letter.envelope.id.to_string()));
        before = page.next;
    }
    assert_eq!(seen, ["e", "d", "c", "b", "a"]);
    assert_eq!(before, None);
    let exactly = on.broker.admin().dead_letters(None, 5).await?;
    assert_eq!((exactly.letters.len(), exactly.next), (5, None));
    Ok(())
}

/// A job may die more than once.
pub async fn newest_letter_of_a_job_is_found(on: Fixture) -> Outcome {
    assert!(on.broker.admin().dead_letter(&job("a")).await?.is_none());
    for reason in ["first", "second"] {
        on.publish(&["a"]).await?;
        let held = on.fetch_one().await?;
        on.settle(held, reject(reason)).await?;
    }
    let newest = on.broker.admin().dead_letter(&job("a")).await?.expect("it was rejected twice");
    assert_eq!(newest.reason, "second");
    assert_eq!(on.broker.admin().dead_letters(None, 9).await?.letters.len(), 2);
    Ok(())
}

/// Dropping tells how many there were.
pub async fn dropped_letters_are_gone(on: Fixture) -> Outcome {
    bury(&on, &["a", "b", "c"]).await?;
    let keys: Vec<i64> =
        on.broker.admin().dead_letters(None, 2).await?.letters.iter().map(|letter| letter.key).collect();
    assert_eq!(on.broker.admin().drop_dead(&keys).await?, 2);
    assert_eq!(on.broker.admin().drop_dead(&keys).await?, 0);
    assert_eq!(on.broker.admin().drop_dead(&[]).await?, 0);
    let left = on.broker.admin().dead_letters(None, 9).await?.letters;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].envelope.id, job("a"));
    Ok(())
}

/// Out of the grave by one step, once.
pub async fn revived_message_is_handed_out_once(on: Fixture) -> Outcome {
    bury(&on, &["a"]).await?;
    let letter = on.broker.admin().dead_letter(&job("a")).await?.expect("it was rejected");
    let mut again = letter.envelope.clone();
    again.content = content("second life");
    let revived = on.broker.admin().revive(letter.key, again.clone()).await?;
    assert_eq!(revived, Some(Publication::Accepted));
    assert_eq!(on.other.admin().revive(letter.key, again.clone()).await?, None);
    assert!(on.broker.admin().dead_letter(&job("a")).await?.is_none());
    let held = on.fetch(5).await?;
    assert_eq!(ids_of(&held), ["a"]);
    assert_eq!((held[0].envelope.content.clone(), held[0].delivery), (again.content, 1));
    Ok(())
}

/// Reviving what is queued already must not lose the letter.
pub async fn letter_stays_where_its_job_is_queued_again(on: Fixture) -> Outcome {
    bury(&on, &["a"]).await?;
    on.publish(&["a"]).await?;
    let letter = on.broker.admin().dead_letter(&job("a")).await?.expect("it was rejected");
    let revived = on.broker.admin().revive(letter.key, letter.envelope.clone()).await?;
    assert_eq!(revived, Some(Publication::Duplicate(job("a"))));
    assert_eq!(on.broker.admin().dead_letter(&job("a")).await?, Some(letter));
    Ok(())
}

/// A dead job does not keep its id or its key from being used.
pub async fn id_of_a_dead_letter_is_free(on: Fixture) -> Outcome {
    bury(&on, &["a"]).await?;
    assert_eq!(on.broker.publish(vec![message("a")]).await?, [Publication::Accepted]);
    assert_eq!(on.fetch_ids(5).await?, ["a"]);
    Ok(())
}

async fn bury(on: &Fixture, ids: &[&str]) -> Outcome {
    for id in ids {
        on.publish(&[id]).await?;
        let held = on.fetch_one().await?;
        on.settle(held, reject("broken")).await?;
    }
    Ok(())
}
