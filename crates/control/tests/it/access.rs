//! Who may do what: what a caller gets, and what is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use celeriac_control::access::{
    AccessDesk, AccessError, AccessSettings, AuditFilter, Caller, Deed, ExposeSecret, Login, OpenSession,
    Origin, Refusal, Scope, SecretString, SessionsOf, Verified, Via,
};
use celeriac_db::testing::TestDatabase;
use celeriac_protocol::{Clock, ManualClock};
use celeriac_store::MIGRATIONS;

const PASSWORD: &str = "correct horse battery";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A database with a desk, a clock moved by hand, and who has both in hand.
struct Door {
    db: TestDatabase,
    clock: ManualClock,
    desk: AccessDesk,
    by: Caller,
}

impl Door {
    async fn build() -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let clock = ManualClock::default();
        let desk = desk(&db, &clock);
        Self { db, clock, desk, by: Caller::cli("ada@host") }
    }

    /// What another process on the same database has.
    fn another_desk(&self) -> AccessDesk {
        desk(&self.db, &self.clock)
    }

    async fn token(&self, name: &str, scope: Scope) -> SecretString {
        self.desk.add_token(&self.by, name, scope, None).await.unwrap().text
    }

    async fn verify(&self, token: &SecretString) -> Result<Verified, Refusal> {
        refusal(self.desk.verify_token(token.expose_secret()).await)
    }

    async fn user(&self, name: &str, scope: Scope) {
        self.desk.add_user(&self.by, name, PASSWORD.into(), scope).await.unwrap();
    }

    async fn log_in(&self, user: &str, password: &str) -> Result<OpenSession, AccessError> {
        self.log_in_from(user, password, None).await
    }

    async fn log_in_from(
        &self,
        user: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<OpenSession, AccessError> {
        let login = Login::Password { user: user.to_owned(), password: password.into() };
        self.desk.log_in(login, &Origin { address, user_agent: "test".to_owned() }).await
    }

    async fn session(&self, cookie: &SecretString) -> Result<Verified, Refusal> {
        refusal(self.desk.verify_session(cookie).await)
    }

    async fn deeds(&self) -> Vec<String> {
        let page = self.desk.audit_log(&AuditFilter::default(), None, 100).await.unwrap();
        let told = page.entries.iter().rev();
        told.map(|entry| {
            format!("{} via {}: {} {} {}", entry.who, entry.via, entry.action, entry.object, entry.outcome)
        })
        .collect()
    }
}

fn desk(db: &TestDatabase, clock: &ManualClock) -> AccessDesk {
    AccessDesk::new(db.database().clone(), Arc::new(clock.clone()), AccessSettings::default()).unwrap()
}

fn refusal(verified: Result<Verified, AccessError>) -> Result<Verified, Refusal> {
    verified.map_err(|error| match error {
        AccessError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_token_says_who_calls_and_what_they_may_do() {
    let door = Door::build().await;
    let text = door.token("deploy", Scope::Operate).await;
    assert!(text.expose_secret().starts_with("celeriac_"));
    assert!(!format!("{text:?}").contains(text.expose_secret()));
    let caller = door.verify(&text).await.unwrap().caller;
    assert_eq!(caller, Caller { name: "deploy".into(), scope: Scope::Operate, via: Via::Token });
    let mut other = text.expose_secret().to_owned();
    let last = if other.pop() == Some('a') { 'b' } else { 'a' };
    other.push(last);
    for unknown in [other.as_str(), "", "celeriac_", "Bearer x", &other.repeat(100)] {
        assert_eq!(door.verify(&unknown.into()).await, Err(Refusal::Unknown), "{unknown}");
    }
}

#[tokio::test]
async fn a_token_is_refused_from_its_end_on_also_when_it_was_just_used() {
    let door = Door::build().await;
    let end = door.clock.now() + MINUTE;
    let made = door.desk.add_token(&door.by, "short", Scope::Read, Some(end)).await.unwrap();
    door.clock.advance(MINUTE - Duration::from_millis(500));
    door.verify(&made.text).await.unwrap();
    door.clock.advance(Duration::from_millis(500));
    assert_eq!(door.verify(&made.text).await, Err(Refusal::Expired));
    let late = door.desk.add_token(&door.by, "late", Scope::Read, Some(end)).await;
    assert!(matches!(late, Err(AccessError::EndsInThePast { .. })), "{late:?}");
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_here_and_within_seconds_elsewhere() {
    let door = Door::build().await;
    let elsewhere = door.another_desk();
    let text = door.token("deploy", Scope::Admin).await;
    door.verify(&text).await.unwrap();
    elsewhere.verify_token(text.expose_secret()).await.unwrap();
    door.desk.revoke_token(&door.by, "deploy").await.unwrap();
    assert_eq!(door.verify(&text).await, Err(Refusal::Revoked));
    door.clock.advance(Duration::from_secs(5));
    assert_eq!(refusal(elsewhere.verify_token(text.expose_secret()).await), Err(Refusal::Revoked));
    let again = door.desk.revoke_token(&door.by, "deploy").await;
    assert!(matches!(again, Err(AccessError::UnknownToken { .. })));
    door.token("deploy", Scope::Read).await;
}

#[tokio::test]
async fn a_name_is_given_once() {
    let door = Door::build().await;
    door.token("deploy", Scope::Admin).await;
    let twice = door.desk.add_token(&door.by, "deploy", Scope::Read, None).await;
    assert!(matches!(twice, Err(AccessError::TokenExists { .. })));
    door.user("Ada", Scope::Read).await;
    let twice = door.desk.add_user(&door.by, "ADA", PASSWORD.into(), Scope::Read).await;
    assert!(matches!(twice, Err(AccessError::UserExists { .. })));
    assert_eq!(door.desk.users().await.unwrap()[0].name, "ada");
}

#[tokio::test]
async fn that_a_token_is_used_is_noted_once_a_minute() {
    let door = Door::build().await;
    let text = door.token("deploy", Scope::Read).await;
    let used = async || door.desk.tokens(false).await.unwrap()[0].last_used_at;
    assert_eq!(used().await, None);
    let first = door.clock.now();
    for _ in 0..3 {
        door.verify(&text).await.unwrap();
        door.clock.advance(MINUTE / 4);
    }
    assert_eq!(used().await, Some(first));
    door.clock.advance(MINUTE);
    door.verify(&text).await.unwrap();
    assert_eq!(used().await, Some(door.clock.now()));
}

#[tokio::test]
async fn of_processes_that_start_at_once_one_makes_the_first_token() {
    let door = Door::build().await;
    let desks: Vec<AccessDesk> = (0..8).map(|_| door.another_desk()).collect();
    let made = futures_util::future::join_all(desks.iter().map(AccessDesk::first_admin_token)).await;
    let made: Vec<_> = made.into_iter().filter_map(Result::unwrap).collect();
    let [token] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(door.verify(&token.text).await.unwrap().caller.scope, Scope::Admin);
    door.desk.revoke_token(&door.by, &token.name).await.unwrap();
    assert!(door.desk.first_admin_token().await.unwrap().is_none(), "there was one before");
}

#[tokio::test]
async fn where_there_is_a_user_no_first_token_is_made() {
    let door = Door::build().await;
    door.user("ada", Scope::Read).await;
    assert!(door.desk.first_admin_token().await.unwrap().is_none());
}

#[tokio::test]
async fn a_user_logs_in_and_out() {
    let door = Door::build().await;
    door.user("ada", Scope::Operate).await;
    let session = door.log_in("Ada", PASSWORD).await.unwrap();
    let verified = door.session(&session.text).await.unwrap();
    let caller = Caller { name: "ada".into(), scope: Scope::Operate, via: Via::Session };
    assert_eq!((&verified.caller, &session.caller), (&caller, &caller));
    assert!(door.desk.form_fits(&session.text, &door.desk.form_token(&session.text)));
    door.desk.end_session(&caller, verified.session.unwrap()).await.unwrap();
    assert_eq!(door.session(&session.text).await, Err(Refusal::Revoked));
    assert!(door.desk.sessions(SessionsOf::Everybody).await.unwrap().is_empty());
}

#[tokio::test]
async fn unknown_users_wrong_passwords_and_disabled_users_are_one_answer() {
    let door = Door::build().await;
    door.user("ada", Scope::Admin).await;
    door.user("bob", Scope::Admin).await;
    door.desk.set_disabled(&door.by, "Bob", true).await.unwrap();
    for (user, password) in [("ada", "wrong horse battery"), ("bob", PASSWORD), ("eve", PASSWORD), ("", "")] {
        let refused = door.log_in(user, password).await.unwrap_err();
        assert_eq!(refused.to_string(), "user or password is wrong", "{user}");
    }
    door.desk.set_disabled(&door.by, "bob", false).await.unwrap();
    door.log_in("bob", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn who_fails_often_waits_even_with_the_right_password() {
    let door = Door::build().await;
    door.user("ada", Scope::Read).await;
    for _ in 0..5 {
        assert!(matches!(door.log_in("ada", "no").await, Err(AccessError::Refused(_))));
    }
    let wait = match door.log_in("ada", PASSWORD).await {
        Err(AccessError::Throttled { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };
    assert!(!wait.is_zero() && wait <= Duration::from_secs(1));
    door.clock.advance(wait);
    door.log_in("ada", PASSWORD).await.unwrap();
    door.log_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_address_that_tries_many_names_waits_and_others_do_not() {
    let door = Door::build().await;
    door.user("ada", Scope::Read).await;
    let (bad, good) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    for name in ["a", "b", "c", "d", "e"] {
        assert!(matches!(door.log_in_from(name, "no", Some(bad)).await, Err(AccessError::Refused(_))));
    }
    assert!(matches!(door.log_in_from("ada", PASSWORD, Some(bad)).await, Err(AccessError::Throttled { .. })));
    door.log_in_from("ada", PASSWORD, Some(good)).await.unwrap();
}

#[tokio::test]
async fn of_many_attempts_at_once_no_more_come_through_than_are_free() {
    let door = Door::build().await;
    door.user("ada", Scope::Read).await;
    let tries = futures_util::future::join_all((0..12).map(|_| door.log_in("ada", "no"))).await;
    let refused = tries.iter().filter(|tried| matches!(tried, Err(AccessError::Refused(_)))).count();
    assert_eq!(refused, 5);
}

#[tokio::test]
async fn a_session_ends_with_disuse_and_in_any_case_with_its_time() {
    let door = Door::build().await;
    door.user("ada", Scope::Read).await;
    let unused = door.log_in("ada", PASSWORD).await.unwrap();
    let used = door.log_in("ada", PASSWORD).await.unwrap();
    for _ in 0..13 {
        door.clock.advance(DAY / 2);
        door.session(&used.text).await.unwrap();
    }
    assert_eq!(door.session(&unused.text).await, Err(Refusal::Expired));
    assert_eq!(door.desk.sessions(SessionsOf::Everybody).await.unwrap().len(), 1);
    door.clock.advance(DAY / 2);
    assert_eq!(door.session(&used.text).await, Err(Refusal::Expired));
}

#[tokio::test]
async fn a_session_may_do_what_its_user_may_do_by_now_and_no_more_than_when_it_began() {
    let door = Door::build().await;
    door.user("ada", Scope::Operate).await;
    let session = door.log_in("ada", PASSWORD).await.unwrap();
    for (now, may) in
        [(Scope::Read, Scope::Read), (Scope::Admin, Scope::Operate), (Scope::Operate, Scope::Operate)]
    {
        door.desk.set_scope(&door.by, "ada", now).await.unwrap();
        assert_eq!(door.session(&session.text).await.unwrap().caller.scope, may);
    }
}

#[tokio::test]
async fn sessions_end_when_their_user_is_disabled_or_has_another_password() {
    let door = Door::build().await;
    door.user("ada", Scope::Read).await;
    let first = door.log_in("ada", PASSWORD).await.unwrap();
    door.desk.set_password(&door.by, "ada", "another long one".into()).await.unwrap();
    assert_eq!(door.session(&first.text).await, Err(Refusal::Revoked));
    assert!(door.log_in("ada", PASSWORD).await.is_err());
    let second = door.log_in("ada", "another long one").await.unwrap();
    door.desk.set_disabled(&door.by, "ada", true).await.unwrap();
    assert_eq!(door.session(&second.text).await, Err(Refusal::Revoked));
}

#[tokio::test]
async fn a_session_that_a_token_began_ends_with_the_token() {
    let door = Door::build().await;
    let token = door.token("ada-laptop", Scope::Operate).await;
    let session = door.desk.log_in(Login::Token(token), &Origin::default()).await.unwrap();
    assert_eq!(door.session(&session.text).await.unwrap().caller.name, "ada-laptop");
    door.desk.revoke_token(&door.by, "ada-laptop").await.unwrap();
    assert_eq!(door.session(&session.text).await, Err(Refusal::Revoked));

    let end = door.clock.now() + MINUTE;
    let short = door.desk.add_token(&door.by, "short", Scope::Read, Some(end)).await.unwrap();
    let session = door.desk.log_in(Login::Token(short.text), &Origin::default()).await.unwrap();
    assert_eq!(session.expires_at, end);
}

#[tokio::test]
async fn all_sessions_end_together_or_those_of_one_user() {
    let door = Door::build().await;
    for name in ["ada", "bob"] {
        door.user(name, Scope::Read).await;
        door.log_in(name, PASSWORD).await.unwrap();
        door.log_in(name, PASSWORD).await.unwrap();
    }
    assert_eq!(door.desk.end_sessions(&door.by, Some("Ada")).await.unwrap(), 2);
    assert_eq!(door.desk.sessions(SessionsOf::Everybody).await.unwrap().len(), 2);
    assert_eq!(door.desk.end_sessions(&door.by, None).await.unwrap(), 2);
    assert!(matches!(
        door.desk.end_sessions(&door.by, Some("eve")).await,
        Err(AccessError::UnknownUser { .. })
    ));
    assert!(matches!(door.desk.end_session(&door.by, 1).await, Err(AccessError::UnknownSession { id: 1 })));
}

#[tokio::test]
async fn a_secret_of_one_kind_is_none_of_the_other() {
    let door = Door::build().await;
    door.user("ada", Scope::Admin).await;
    let token = door.token("deploy", Scope::Admin).await;
    let session = door.log_in("ada", PASSWORD).await.unwrap();
    assert_eq!(door.verify(&session.text).await, Err(Refusal::Unknown));
    assert_eq!(door.session(&token).await, Err(Refusal::Unknown));
}

#[tokio::test]
async fn every_change_is_in_the_log_and_no_secret_is() {
    let door = Door::build().await;
    let token = door.token("deploy", Scope::Read).await;
    door.user("ada", Scope::Read).await;
    door.log_in("ada", "wrong horse battery").await.unwrap_err();
    door.log_in("eve", "wrong horse battery").await.unwrap_err();
    door.log_in("ada", PASSWORD).await.unwrap();
    door.desk.set_scope(&door.by, "ada", Scope::Admin).await.unwrap();
    door.desk.set_password(&door.by, "ada", "another long one".into()).await.unwrap();
    door.desk.set_disabled(&door.by, "ada", true).await.unwrap();
    door.desk.revoke_token(&door.by, "deploy").await.unwrap();
    door.desk.revoke_token(&door.by, "deploy").await.unwrap_err();
    door.desk.note(&door.by, Deed::done("jobs.cancel", "job-1")).await;
    assert_eq!(
        door.deeds().await,
        [
            "ada@host via cli: tokens.add deploy done",
            "ada@host via cli: users.add ada done",
            "ada via session: sessions.login ada refused",
            "ada via session: sessions.login ada done",
            "ada@host via cli: users.scope ada done",
            "ada@host via cli: users.password ada done",
            "ada@host via cli: users.disable ada done",
            "ada@host via cli: tokens.revoke deploy done",
            "ada@host via cli: jobs.cancel job-1 done",
        ]
    );
    let log = door.desk.audit_log(&AuditFilter::default(), None, 100).await.unwrap();
    let text = format!("{log:?}");
    assert!(!text.contains(token.expose_secret()) && !text.contains("horse") && !text.contains("argon2"));
}
