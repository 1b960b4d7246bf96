//! Putting messages in.

use celeriac_protocol::{Clock, Content, Envelope};

use super::{Fixture, Outcome, QUEUE, ack, content, ids_of, job, message, numbered, take};
use crate::Publication;

/// Nothing of a message is changed on its way.
pub async fn message_comes_out_as_it_went_in(on: Fixture) -> Outcome {
    let odd = Envelope {
        priority: Some(9),
        due_at: Some(on.clock.now()),
        unique_key: on.key("schlüssel 'with' \"quotes\""),
        content: Content {
            headers: "{\"id\": \"ünï\", \"n\": 12345678901234567890.5e300}".into(),
            properties: String::new(),
            content_type: "application/x-python-serialize".into(),
            content_encoding: "binary".into(),
            body: (0..=255).collect(),
        },
        ..message("an id of another's: späte/1?&'\"")
    };
    let plain = message("plain");
    on.broker.publish(vec![odd.clone()]).await?;
    on.broker.publish(vec![plain.clone()]).await?;
    let out: Vec<Envelope> = on.fetch(2).await?.into_iter().map(|delivery| delivery.envelope).collect();
    assert_eq!(out, [odd, plain]);
    Ok(())
}

/// Any number goes in by one call.
pub async fn many_are_taken_all_and_in_order(on: Fixture) -> Outcome {
    let ids = numbered(203);
    let answers = on.broker.publish(ids.iter().map(|id| message(id)).collect()).await?;
    assert_eq!(answers, vec![Publication::Accepted; 203]);
    let mut out = Vec::new();
    while out.len() < ids.len() {
        let fetched = on.fetch(50).await?;
        assert!(fetched.iter().all(|one| one.envelope.content == content(one.envelope.id.as_str())));
        out.extend(ids_of(&fetched));
    }
    assert_eq!(out, ids);
    assert!(on.fetch(1).await?.is_empty());
    Ok(())
}

/// An empty call is no error.
pub async fn nothing_published_is_nothing(on: Fixture) -> Outcome {
    assert!(on.broker.publish(Vec::new()).await?.is_empty());
    Ok(())
}

/// An id is in a queue at most once, whichever queue and wherever it stands there.
pub async fn second_message_of_an_id_is_refused_until_the_first_is_gone(on: Fixture) -> Outcome {
    let duplicate = [Publication::Duplicate(job("a"))];
    on.publish(&["a"]).await?;
    assert_eq!(on.broker.publish(vec![message("a")]).await?, duplicate);
    let elsewhere = Envelope { queue: "elsewhere".into(), ..message("a") };
    assert_eq!(on.other.publish(vec![elsewhere]).await?, duplicate);
    let held = on.fetch_one().await?;
    assert_eq!(on.broker.publish(vec![message("a")]).await?, duplicate);
    on.broker.settle(&[ack(held)]).await?;
    assert_eq!(on.broker.publish(vec![message("a")]).await?, [Publication::Accepted]);
    assert_eq!(on.fetch_ids(5).await?, ["a"]);
    Ok(())
}

/// Of two messages of one id in one call the first is taken.
pub async fn duplicates_within_one_call_are_told_apart(on: Fixture) -> Outcome {
    let second = Envelope { content: content("another"), ..message("a") };
    let answers = on.broker.publish(vec![message("a"), message("b"), second, message("c")]).await?;
    let duplicate = Publication::Duplicate(job("a"));
    assert_eq!(answers, [Publication::Accepted, Publication::Accepted, duplicate, Publication::Accepted]);
    let out = on.fetch(5).await?;
    assert_eq!(ids_of(&out), ["a", "b", "c"]);
    assert_eq!(out[0].envelope.content, content("a"));
    Ok(())
}

/// What is there already does not keep the rest of a large call out, nor mix up contents.
pub async fn duplicates_among_many_do_not_disturb_the_rest(on: Fixture) -> Outcome {
    let ids = numbered(150);
    on.publish(&[&ids[3], &ids[64], &ids[149]]).await?;
    let first = on.fetch(3).await?;
    let answers = on.broker.publish(ids.iter().map(|id| message(id)).collect()).await?;
    for (id, answer) in ids.iter().zip(answers) {
        let known = first.iter().any(|held| held.envelope.id.as_str() == id);
        assert_eq!(answer == Publication::Accepted, !known, "{id}");
    }
    let rest = on.fetch(200).await?;
    assert_eq!(rest.len(), 147);
    assert!(rest.iter().all(|one| one.envelope.content == content(one.envelope.id.as_str())));
    Ok(())
}

/// A body may be empty, and it may be large.
pub async fn large_and_empty_bodies_survive(on: Fixture) -> Outcome {
    let mut large = message("large");
    large.content.body = (0..3 << 20).map(|place| (place % 251) as u8).collect();
    let mut empty = message("empty");
    empty.content.body.clear();
    on.broker.publish(vec![large.clone(), empty.clone()]).await?;
    let out = on.fetch(2).await?;
    assert!(out[0].envelope == large && out[1].envelope == empty);
    Ok(())
}

/// The queue is one, whoever looks.
pub async fn what_one_process_publishes_another_fetches(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let fetched = take(&*on.other, &[QUEUE], 5).await?.deliveries;
    assert_eq!(ids_of(&fetched), ["a"]);
    assert!(on.fetch(5).await?.is_empty());
    Ok(())
}
