//! Tokens, users, sessions, and the log of what was done.

use celeriac_db::testing::TestDatabase;
use celeriac_store::MIGRATIONS;
use celeriac_store::query::access::{
    self, AuditEntry, AuditFilter, AuditOutcome, Bearer, NewSession, NewToken, NewUser, Scope, SessionsOf,
    StoredSecret, UserChange, Via,
};
use serde_json::json;

use crate::kit::{self, at, write};

fn secret(prefix: &str, byte: u8) -> StoredSecret {
    StoredSecret { prefix: prefix.to_owned(), hash: [byte; 32] }
}

fn token(name: &str, byte: u8) -> NewToken {
    NewToken {
        name: name.to_owned(),
        secret: secret(&format!("celeriac_{byte}"), byte),
        scope: Scope::Operate,
        created_at: at(0),
        created_by: "ada@host".to_owned(),
        expires_at: None,
    }
}

async fn add_token(db: &TestDatabase, token: NewToken) -> Option<i64> {
    write(db, async move |tx| access::add_token(tx, &token).await).await
}

fn user(name: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        password: "$argon2id$...".to_owned(),
        scope: Scope::Read,
        created_at: at(0),
        created_by: "ada@host".to_owned(),
    }
}

fn session(bearer: Bearer, byte: u8, seconds: i64) -> NewSession {
    NewSession {
        secret: secret(&format!("s{byte}"), byte),
        bearer,
        name: "ada".to_owned(),
        scope: Scope::Admin,
        created_at: at(seconds),
        expires_at: at(seconds + 100),
        address: "127.0.0.1".to_owned(),
        user_agent: "test ".repeat(200),
    }
}

async fn begin(db: &TestDatabase, session: NewSession) -> i64 {
    write(db, async move |tx| access::add_session(tx, &session, 2).await).await
}

#[tokio::test]
async fn a_token_is_found_by_how_it_begins_and_its_hash_reads_back() {
    let db = kit::database().await;
    let made = NewToken { expires_at: Some(at(10)), ..token("deploy", 7) };
    let id = add_token(&db, made).await.unwrap();
    let found = access::find_tokens(db.reader(), "celeriac_7").await.unwrap();
    let [(record, kept)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((record.id, record.name.as_str(), record.scope), (id, "deploy", Some(Scope::Operate)));
    assert_eq!((record.expires_at, record.created_by.as_str()), (Some(at(10)), "ada@host"));
    assert_eq!(kept.hash, [7; 32]);
    assert!(record.is_in_force(at(9)) && !record.is_in_force(at(10)));
    assert!(access::find_tokens(db.reader(), "celeriac_8").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_is_one_tokens_until_that_is_revoked() {
    let db = kit::database().await;
    assert!(access::is_untouched(db.reader()).await.unwrap());
    let first = add_token(&db, token("deploy", 1)).await.unwrap();
    assert_eq!(add_token(&db, token("deploy", 2)).await, None);
    let revoke = async |name: &'static str| {
        write(&db, async move |tx| access::revoke_token(tx, name, at(5), "bob").await).await
    };
    assert_eq!(revoke("deploy").await, Some(first));
    assert_eq!(revoke("deploy").await, None);
    let second = add_token(&db, token("deploy", 2)).await.unwrap();
    let names = async |all| {
        let listed = access::tokens(db.reader(), at(6), all).await.unwrap();
        listed.into_iter().map(|token| (token.id, token.revoked_by)).collect::<Vec<_>>()
    };
    assert_eq!(names(false).await, [(second, None)]);
    assert_eq!(names(true).await, [(first, Some("bob".to_owned())), (second, None)]);
    assert!(!access::is_untouched(db.reader()).await.unwrap());
}

#[tokio::test]
async fn that_a_token_was_used_is_written_once_in_a_while() {
    let db = kit::database().await;
    let id = add_token(&db, token("deploy", 1)).await.unwrap();
    for (seconds, noted) in [(0, 0), (30, 0), (60, 60), (61, 60)] {
        write(&db, async move |tx| access::touch_token(tx, id, at(seconds), at(seconds - 60)).await).await;
        let used = access::token_by_id(db.reader(), id).await.unwrap().unwrap().last_used_at;
        assert_eq!(used, Some(at(noted)), "at {seconds}");
    }
}

#[tokio::test]
async fn a_user_changes_field_by_field() {
    let db = kit::database().await;
    let add = async |user: NewUser| write(&db, async move |tx| access::add_user(tx, &user).await).await;
    assert!(add(user("ada")).await);
    assert!(!add(user("ada")).await);
    let change = async |name: &'static str, change: UserChange, seconds| {
        write(&db, async move |tx| access::change_user(tx, name, &change, at(seconds)).await).await
    };
    let disable = |disabled| UserChange { disabled: Some(disabled), ..UserChange::default() };
    assert_eq!(change("bob", disable(true), 1).await, None);
    assert!(change("ada", disable(true), 1).await.is_some());
    change("ada", disable(true), 2).await;
    change("ada", UserChange { scope: Some(Scope::Admin), ..UserChange::default() }, 3).await;
    change("ada", UserChange { password: Some("new".into()), ..UserChange::default() }, 4).await;
    let (record, password) = access::find_user(db.reader(), "ada").await.unwrap().unwrap();
    assert_eq!((record.disabled_at, record.scope), (Some(at(1)), Some(Scope::Admin)));
    assert_eq!((record.password_at, password.as_str()), (at(4), "new"));
    change("ada", disable(false), 5).await;
    write(&db, async move |tx| access::note_login(tx, record.id, at(6)).await).await;
    let listed = access::users(db.reader()).await.unwrap();
    assert_eq!((listed[0].disabled_at, listed[0].last_login_at), (None, Some(at(6))));
}

#[tokio::test]
async fn a_user_has_some_sessions_and_the_oldest_makes_room() {
    let db = kit::database().await;
    let (ada, bob) = (Bearer::User(1), Bearer::Token(1));
    let first = begin(&db, session(ada, 1, 0)).await;
    let other = begin(&db, session(bob, 2, 0)).await;
    let second = begin(&db, session(ada, 3, 1)).await;
    let third = begin(&db, session(ada, 4, 2)).await;
    let open = async |whose, now| {
        let listed = access::sessions(db.reader(), whose, at(now), at(-1)).await.unwrap();
        listed.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(open(SessionsOf::One(ada), 3).await, [third, second]);
    let (ended, _) = access::find_sessions(db.reader(), "s1").await.unwrap().remove(0);
    assert_eq!((ended.id, ended.ended_at, ended.bearer), (first, Some(at(2)), Some(ada)));
    assert!(ended.user_agent.len() <= 255);
    assert!(write(&db, async move |tx| access::end_session(tx, second, at(4)).await).await);
    assert!(!write(&db, async move |tx| access::end_session(tx, second, at(5)).await).await);
    assert_eq!(open(SessionsOf::Everybody, 5).await, [third, other]);
    assert_eq!(
        write(&db, async move |tx| access::end_sessions(tx, SessionsOf::One(bob), at(6)).await).await,
        1
    );
    assert_eq!(open(SessionsOf::Everybody, 7).await, [third]);
    assert!(open(SessionsOf::Everybody, 103).await.is_empty());
}

#[tokio::test]
async fn sessions_go_once_their_end_is_long_past() {
    let db = kit::database().await;
    for (byte, seconds) in [(1, 0), (2, 1), (3, 50)] {
        begin(&db, session(Bearer::User(i64::from(byte)), byte, seconds)).await;
    }
    let prune = async || write(&db, async move |tx| access::prune_sessions(tx, at(140), 1).await).await;
    assert_eq!((prune().await, prune().await, prune().await), (1, 1, 0));
    assert_eq!(access::find_sessions(db.reader(), "s3").await.unwrap().len(), 1);
}

fn entry(seconds: i64, who: &str, action: &str) -> AuditEntry {
    AuditEntry {
        at: at(seconds),
        who: who.to_owned(),
        via: Via::Token,
        action: action.to_owned(),
        object: "job-1".to_owned(),
        detail: Some(json!({ "reason": "nul \u{0} and ä" })),
        outcome: AuditOutcome::Done,
    }
}

async fn note(db: &TestDatabase, entry: AuditEntry) {
    write(db, async move |tx| access::add_audit(tx, &entry).await).await;
}

#[tokio::test]
async fn what_was_done_is_listed_newest_first_page_by_page() {
    let db = kit::database().await;
    for seconds in 0..5 {
        note(&db, entry(seconds, "ada", "jobs.cancel")).await;
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = access::audit(db.reader(), &AuditFilter::default(), before, 2).await.unwrap();
        seen.extend(page.entries.iter().map(|entry| entry.at));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [at(4), at(3), at(2), at(1), at(0)]);
}

#[tokio::test]
async fn what_was_done_is_found_by_who_what_and_when() {
    let db = kit::database().await;
    note(&db, entry(1, "ada", "jobs.cancel")).await;
    note(&db, entry(2, "bob", "jobs.retry")).await;
    let refused =
        AuditEntry { outcome: AuditOutcome::Refused, via: Via::Session, ..entry(3, "bob", "queues.pause") };
    note(&db, AuditEntry { object: "mail".into(), ..refused }).await;
    let check = async |filter: AuditFilter, expected: &[i64]| {
        let page = access::audit(db.reader(), &filter, None, 10).await.unwrap();
        let found: Vec<_> = page.entries.iter().map(|entry| entry.at).collect();
        assert_eq!(found, expected.iter().map(|seconds| at(*seconds)).collect::<Vec<_>>(), "{filter:?}");
    };
    let all = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    check(AuditFilter { who: text("bob"), ..all() }, &[3, 2]).await;
    check(AuditFilter { action: text("jobs."), ..all() }, &[2, 1]).await;
    check(AuditFilter { action: text("jobs.retry"), ..all() }, &[2]).await;
    check(AuditFilter { action: text("jobs"), ..all() }, &[]).await;
    check(AuditFilter { object: text("mail"), ..all() }, &[3]).await;
    check(AuditFilter { outcome: text("refused"), ..all() }, &[3]).await;
    check(AuditFilter { via: Some(Via::Session), ..all() }, &[3]).await;
    check(AuditFilter { since: Some(at(2)), until: Some(at(3)), ..all() }, &[2]).await;
}

#[tokio::test]
async fn a_detail_is_kept_within_its_limit_and_goes_after_its_time() {
    let db = kit::database().await;
    note(&db, entry(1, "ada", "jobs.cancel")).await;
    let long = "ä".repeat(access::MAX_DETAIL_BYTES);
    note(&db, AuditEntry { detail: Some(json!(long)), object: long, ..entry(2, "ada", "jobs.cancel") }).await;
    let page = access::audit(db.reader(), &AuditFilter::default(), None, 10).await.unwrap();
    let detail = page.entries[0].detail.as_deref().unwrap();
    assert!(detail.len() < 4_096 && detail.contains("celeriac_truncated"), "{detail}");
    assert!(page.entries[0].object.len() <= 255);
    assert_eq!(page.entries[1].detail.as_deref(), Some(r#"{"reason":"nul \u0000 and ä"}"#));
    assert_eq!(write(&db, async |tx| access::prune_audit(tx, at(2), 10).await).await, 1);
    assert_eq!(access::audit(db.reader(), &AuditFilter::default(), None, 10).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn who_may_do_what_goes_up_and_down_and_up_again_with_data_in_it() {
    let db = kit::database().await;
    for _ in 0..2 {
        add_token(&db, token("deploy", 1)).await.unwrap();
        write(&db, async |tx| access::add_user(tx, &user("ada")).await).await;
        begin(&db, session(Bearer::User(1), 1, 0)).await;
        note(&db, entry(1, "ada", "jobs.cancel")).await;
        let made = MIGRATIONS.migrations.iter().position(|made| made.name == "m20261123_access").unwrap();
        MIGRATIONS.down_to(&db, Some(MIGRATIONS.migrations[made - 1].name)).await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        assert!(access::is_untouched(db.reader()).await.unwrap());
        assert!(access::find_sessions(db.reader(), "s1").await.unwrap().is_empty());
    }
}
