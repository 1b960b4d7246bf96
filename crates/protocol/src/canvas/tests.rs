//! Bodies as Celery 5.7 sends them, and what follows.

use super::*;
use crate::{Arguments, BodyForm, Serializer};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn signature(task: &str, args: &str, options: &str) -> String {
    format!(
        r#"{{"task": "{task}", "args": {args}, "kwargs": {{}}, "options": {options}, "subtask_type": null, "immutable": false}}"#
    )
}

fn of(kind: &str, tasks: &[String], options: &str) -> String {
    let tasks = tasks.join(",");
    format!(
        r#"{{"task": "celery.{kind}", "args": [], "kwargs": {{"tasks": [{tasks}]}}, "options": {options}, "subtask_type": "{kind}", "immutable": false}}"#
    )
}

fn continuation(callbacks: &[String], chain: &[String]) -> Continuation {
    let list = |parts: &[String]| Some(raw(&format!("[{}]", parts.join(","))));
    Continuation { callbacks: list(callbacks), chain: list(chain), ..Continuation::default() }
}

fn parent() -> TaskMessage {
    let mut parent = TaskMessage::new(JobId::parse("p").unwrap(), "add", Arguments::default());
    parent.root_id = Some(JobId::parse("root").unwrap());
    parent.form = BodyForm { serializer: Serializer::Yaml, compression: None };
    parent
}

fn next(continuation: &Continuation) -> Vec<TaskMessage> {
    let parent = parent();
    let following = Following {
        parent: &parent,
        now: "2026-01-02T03:04:05Z".parse().unwrap(),
        origin: "here",
        queue_of: &|task| format!("queue-of-{task}"),
        priority_of: &|number| 9 - number,
    };
    continuation.next(&raw("5"), &following).unwrap()
}

/// Writes messages in short: id, task, arguments, group, chain and links.
fn short(messages: &[TaskMessage]) -> Vec<String> {
    let names = |raw: &Option<Box<RawValue>>| {
        let parts = list_of(raw.as_deref()).unwrap();
        parts.iter().map(|part| Signature::read(part).unwrap().task).collect::<Vec<_>>().join("<")
    };
    let is_derived = |id: &JobId| id.as_str().len() == 36;
    let in_short = |message: &TaskMessage| {
        let id = if is_derived(&message.id) { "?" } else { message.id.as_str() };
        let group = message.group.as_deref().map(|group| if group.len() == 36 { "?" } else { group });
        let group = group.map(|group| format!(" {group}:{}", message.group_index.unwrap_or(-1)));
        let (chain, links) = (names(&message.continuation.chain), names(&message.continuation.callbacks));
        format!(
            "{id} {}{}{} [{chain}] [{links}]",
            message.task,
            message.args.positional,
            group.unwrap_or_default()
        )
    };
    messages.iter().map(in_short).collect()
}

#[test]
fn the_last_of_a_chain_is_next_and_carries_the_rest_on() {
    let chain =
        [signature("add", "[4]", r#"{"task_id": "c"}"#), signature("mul", "[3]", r#"{"task_id": "b"}"#)];
    let messages = next(&continuation(&[], &chain));
    assert_eq!(short(&messages), ["b mul[5,3] [add] []"]);
    let message = &messages[0];
    assert_eq!(message.parent_id, Some(JobId::parse("p").unwrap()));
    assert_eq!(message.root_id, Some(JobId::parse("root").unwrap()));
    assert_eq!((message.queue.as_str(), message.form), ("queue-of-mul", parent().form));
    assert_eq!(message.continuation.chain.as_ref().unwrap().get(), format!("[{}]", chain[0]));
}

#[test]
fn options_of_a_signature_are_those_of_its_message() {
    let options = r#"{"task_id": "b", "reply_to": "r", "queue": "q", "priority": 2, "countdown": 10, "expires": "2026-01-02T03:05:00",
        "time_limit": 30, "soft_time_limit": 2.5, "ignore_result": true, "shadow": "s", "serializer": "msgpack", "retries": 1,
        "headers": {"x-custom": 1.10}, "stamped_headers": ["tenant"], "tenant": "acme", "link": {"task": "log"}}"#;
    let immutable = signature("mul", "[3]", options).replace(r#""immutable": false"#, r#""immutable": true"#);
    let messages = next(&continuation(&[], &[immutable]));
    assert_eq!(short(&messages), ["b mul[3] [] [log]"]);
    let message = &messages[0];
    assert_eq!((message.queue.as_str(), message.priority, message.retries), ("q", Some(7), 1));
    assert_eq!(message.eta, Some("2026-01-02T03:04:15Z".parse().unwrap()));
    assert_eq!(message.expires, Some("2026-01-02T03:05:00Z".parse().unwrap()));
    let seconds = std::time::Duration::from_secs_f64;
    assert_eq!(
        (message.time_limits.hard, message.time_limits.soft),
        (Some(seconds(30.0)), Some(seconds(2.5)))
    );
    assert_eq!((message.ignore_result, message.shadow.as_deref()), (Some(true), Some("s")));
    assert_eq!((message.reply_to.as_deref(), message.form.serializer), (Some("r"), Serializer::Msgpack));
    let headers: Vec<String> = message.extra.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(headers, ["x-custom=1.10", r#"stamped_headers=["tenant"]"#, r#"stamps={"tenant":"acme"}"#]);
}

#[test]
fn a_signature_goes_where_celery_would_send_it() {
    for (options, expected) in [
        ("{}", "queue-of-mul"),
        (r#"{"queue": "q"}"#, "q"),
        (r#"{"queue": "q", "routing_key": "k"}"#, "q"),
        (r#"{"queue": "q", "exchange": "news", "routing_key": null}"#, "q"),
        (r#"{"routing_key": "feed.sport"}"#, "queue-of-mul"),
        (r#"{"exchange": "", "routing_key": "feed.sport"}"#, "queue-of-mul"),
        (r#"{"exchange": "news"}"#, "queue-of-mul"),
        (r#"{"exchange": "news", "routing_key": "feed.sport"}"#, "exchange://news/feed.sport"),
        (r#"{"exchange": "news", "routing_key": "feed.sport", "queue": "q"}"#, "exchange://news/feed.sport"),
        (r#"{"exchange": "news", "exchange_type": "fanout"}"#, "exchange://news/"),
        (r#"{"exchange": "video", "routing_key": "video"}"#, "video"),
        (r#"{"exchange": "v", "routing_key": "v", "exchange_type": "topic"}"#, "exchange://v/v"),
    ] {
        let messages = next(&continuation(&[], &[signature("mul", "[]", options)]));
        assert_eq!(messages[0].queue, expected, "{options}");
    }
}

#[test]
fn whoever_sends_is_asked_for_each_task_that_follows_however_deep_it_lies() {
    let asked = std::cell::RefCell::new(Vec::new());
    let step = |task, options| signature(task, "[]", options);
    let links = [of("group", &[step("a", r#"{"countdown": 0}"#), step("b", r#"{"countdown": 1}"#)], "{}")];
    let linked =
        format!(r#"{{"queue": "q", "link": {}}}"#, step("d", r#"{"exchange": "x", "routing_key": "k"}"#));
    let chain = [step("e", r#"{"eta": "2026-01-02T03:05:00"}"#), step("c", &linked)];
    let all = continuation(&links, &chain);
    let note = |to: &Destination<'_>| {
        asked.borrow_mut().push(format!("{} {:?} {}", to.task, to.address, to.waits));
        Ok(())
    };
    assert_eq!(all.check_sent(&note), Ok(()));
    let expected = [
        "a None false",
        "b None true",
        "d Some(\"exchange://x/k\") false",
        "c Some(\"q\") false",
        "e None true",
    ];
    assert_eq!(asked.into_inner(), expected);
    let refused = all.check_sent(&|to| if to.task == "d" { Err("no".to_owned()) } else { Ok(()) });
    assert_eq!(refused, Err(CanvasError::Unsendable { task: "d".to_owned(), reason: "no".to_owned() }));
}

#[test]
fn links_are_followed_all_and_under_the_same_ids_each_time() {
    let links = [
        signature("a", "[]", "{}"),
        signature("b", "[1]", "{}"),
        of("group", &[signature("c", "[]", "{}")], "{}"),
    ];
    let all = continuation(&links, &[signature("d", "[]", r#"{"task_id": "d"}"#)]);
    let messages = next(&all);
    assert_eq!(
        short(&messages),
        ["? a[5] ?:0 [] []", "? b[5,1] ?:1 [] []", "? c[5] ?:0 [] []", "d d[5] [] []"]
    );
    let ids: Vec<JobId> = messages.iter().map(|message| message.id.clone()).collect();
    assert!(ids.iter().collect::<std::collections::HashSet<_>>().len() == 4);
    assert_eq!(next(&all).iter().map(|message| message.id.clone()).collect::<Vec<_>>(), ids);
    let one = Continuation { callbacks: Some(raw(&links[1])), ..Continuation::default() };
    assert_eq!(short(&next(&one)), ["? b[5,1] [] []"]);
}

#[test]
fn a_group_ends_a_chain_and_a_chain_may_stand_in_it() {
    let first = signature("mul", "[2]", r#"{"task_id": "m"}"#);
    let inner = of(
        "chain",
        &[signature("a", "[1]", r#"{"task_id": "x"}"#), signature("b", "[]", r#"{"task_id": "y"}"#)],
        "{}",
    );
    let group = of("group", &[first, inner], r#"{"task_id": "gid"}"#);
    let messages = next(&continuation(&[], &[group]));
    assert_eq!(short(&messages), ["m mul[5,2] gid:0 [] []", "x a[5,1] [b] []"]);
    // The last step of the inner chain stands for it in the group.
    let last = list_of(messages[1].continuation.chain.as_deref()).unwrap()[0];
    let options = Signature::read(last).unwrap().options;
    assert_eq!((options.read("group_id"), options.read("group_index")), (Some("gid".to_owned()), Some(1)));
}

#[test]
fn a_linked_chain_goes_before_the_rest_and_hands_its_links_to_its_last() {
    let steps = [signature("a", "[]", "{}"), signature("b", "[]", "{}"), signature("c", "[]", "{}")];
    let chain = of("chain", &steps, r#"{"task_id": "end", "link": [{"task": "log"}]}"#);
    let messages = next(&continuation(&[], &[signature("z", "[]", "{}"), chain.clone()]));
    assert_eq!(short(&messages), ["? a[5] [z<c<b] []"]);
    let messages = next(&continuation(&[chain], &[]));
    let rest = list_of(messages[0].continuation.chain.as_deref()).unwrap();
    let last = Signature::read(rest[0]).unwrap();
    assert_eq!((last.task.as_str(), last.options.read("task_id")), ("c", Some("end".to_owned())));
    assert_eq!(list_of(last.options.get("link")).unwrap().len(), 1);
}

#[test]
fn what_can_not_be_run_whole_is_refused_however_deep_it_lies() {
    let task = |options: &str| signature("a", "[]", options);
    let chord = r#"{"task": "celery.chord", "args": [], "kwargs": {"header": [], "body": {}}, "options": {}, "subtask_type": "chord"}"#;
    let fine = || vec![task("{}")];
    let (chord_word, error_word) = ("carries a chord", "carries an error callback");
    for (callbacks, chain, expected) in [
        (vec![chord.to_owned()], vec![], chord_word),
        (fine(), vec![chord.to_owned(), task("{}")], chord_word),
        (vec![], vec![task(r#"{"chord": {"task": "sum"}}"#)], chord_word),
        (vec![], vec![task("{}"), of("group", &fine(), "{}")], chord_word),
        (vec![task(r#"{"link_error": [{"task": "e"}]}"#)], vec![], error_word),
        (
            vec![task(&format!(r#"{{"link": {}}}"#, task(r#"{"link_error": {"task": "e"}}"#)))],
            vec![],
            error_word,
        ),
        (vec![], vec![of("chain", &[of("group", &fine(), "{}"), task("{}")], "{}")], chord_word),
        (vec![], vec![of("group", &[of("chain", &[chord.to_owned()], "{}")], "{}")], chord_word),
        (vec![task(r#"{"task_id": ""}"#)], vec![], "is no id"),
        (vec!["5".to_owned()], vec![], "can't be read"),
        (fine().into_iter().cycle().take(MAX_SIGNATURES + 1).collect(), vec![], "more than 10000"),
    ] {
        let error = continuation(&callbacks, &chain).check().unwrap_err();
        assert!(error.to_string().contains(expected), "{error} / {expected}");
    }
    let mut deep = task("{}");
    for _ in 0..40 {
        deep = of("chain", &[deep], "{}");
    }
    assert_eq!(continuation(&[deep], &[]).check(), Err(CanvasError::TooMany));
    let with = |errbacks: Option<&str>, chord: Option<&str>| Continuation {
        errbacks: errbacks.map(raw),
        chord: chord.map(raw),
        ..continuation(&[], &fine())
    };
    assert_eq!(with(Some("[{}]"), None).check(), Err(ERROR_CALLBACK));
    assert_eq!(with(None, Some("{}")).check(), Err(CHORD));
    assert_eq!(with(Some("[]"), Some("null")).check(), Ok(()));
    assert_eq!(
        continuation(&fine(), &[of("group", &[], r#"{"link": [], "link_error": null, "chord": null}"#)])
            .check(),
        Ok(())
    );
}

#[test]
fn those_who_wait_for_the_rest_of_a_broken_chain_are_found() {
    let group = of(
        "group",
        &[signature("c", "[]", r#"{"task_id": "c"}"#), signature("d", "[]", "{}")],
        r#"{"task_id": "g"}"#,
    );
    let all = continuation(
        &[signature("l", "[]", r#"{"task_id": "l"}"#)],
        &[group, signature("b", "[1]", r#"{"task_id": "b"}"#)],
    );
    let parent = parent();
    let following = Following {
        parent: &parent,
        now: Timestamp::EPOCH,
        origin: "here",
        queue_of: &|_| "q".to_owned(),
        priority_of: &|number| number,
    };
    assert_eq!(short(&all.abandoned(&following)), ["b b[1] [] []", "c c[] [] []"]);
}

#[test]
fn result_is_counted_for_each_job_that_gets_it() {
    let plain = signature("a", "[]", "{}");
    let immutable = plain.replace("\"immutable\": false", "\"immutable\": true");
    let group = |count: usize| of("group", &vec![plain.clone(); count], "{}");
    let large = raw(&format!("\"{}\"", "x".repeat(MAX_COPIED / 100 - 2)));
    let chain_of_groups = of("chain", &[group(60), plain.clone()], "{}");
    for (callbacks, chain, expected) in [
        (vec![], vec![plain.clone(), group(100)], true),
        (vec![], vec![plain.clone(), group(101)], false),
        (vec![immutable, group(100)], vec![], true),
        (vec![plain.clone(), group(100)], vec![], false),
        (vec![chain_of_groups.clone()], vec![group(40)], true),
        (vec![chain_of_groups], vec![group(41)], false),
    ] {
        let checked = continuation(&callbacks, &chain).check_result(&large);
        assert_eq!(checked.is_ok(), expected, "{checked:?}");
    }
    let huge = raw(&format!("\"{}\"", "x".repeat(MAX_COPIED)));
    assert!(continuation(&[], std::slice::from_ref(&plain)).check_result(&huge).is_ok());
}

#[test]
fn what_is_abandoned_is_bounded() {
    let member = signature("a", "[]", r#"{"task_id": "a"}"#);
    let group = of("group", &vec![member; MAX_SIGNATURES], "{}");
    let parent = parent();
    let following = Following {
        parent: &parent,
        now: "2026-01-02T03:04:05Z".parse().unwrap(),
        origin: "here",
        queue_of: &|_| "q".to_owned(),
        priority_of: &|number| number,
    };
    assert_eq!(continuation(&[], &[group]).abandoned(&following).len(), MAX_SIGNATURES - 1);
}
