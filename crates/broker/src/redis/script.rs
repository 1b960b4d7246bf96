//! The scripts, each a file of its own behind what all share, and how they are called.

use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value};
use serde::Serialize;

use super::options::RedisOptions;

/// Makes a script of a file; what all of them share stands before it.
macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), "\n", include_str!($file))))
    };
}

pub(super) static PUBLISH: LazyLock<Script> = script!("publish.lua");
pub(super) static FETCH: LazyLock<Script> = script!("fetch.lua");
pub(super) static SETTLE: LazyLock<Script> = script!("settle.lua");
pub(super) static RENEW: LazyLock<Script> = script!("renew.lua");
pub(super) static LEAVE: LazyLock<Script> = script!("leave.lua");
pub(super) static RESTORE: LazyLock<Script> = script!("restore.lua");
pub(super) static FIND: LazyLock<Script> = script!("find.lua");
pub(super) static PURGE: LazyLock<Script> = script!("purge.lua");
pub(super) static DEPTHS: LazyLock<Script> = script!("depths.lua");
pub(super) static PAUSE: LazyLock<Script> = script!("pause.lua");
pub(super) static DEAD: LazyLock<Script> = script!("dead.lua");
pub(super) static GRAVE: LazyLock<Script> = script!("grave.lua");

/// What every script is told first.
#[derive(Debug, Serialize)]
pub(super) struct Settings<'s> {
    prefix: &'s str,
    suffixes: Vec<String>,
    separator: &'s str,
    channel: &'s str,
    sender: &'s str,
    keep: u64,
}

impl<'s> Settings<'s> {
    /// Takes them from the options; notices go to `channel` and begin with `sender`.
    pub(super) fn of(options: &'s RedisOptions, channel: &'s str, sender: &'s str) -> Self {
        Self {
            prefix: &options.key_prefix,
            suffixes: options.suffixes(),
            separator: &options.separator,
            channel,
            sender,
            keep: u64::try_from(options.memory.as_millis()).unwrap_or(u64::MAX >> 16),
        }
    }

    /// Writes them as the scripts read them.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers always serialize")
    }
}

/// One call of a script, to which arguments are added. They lie in one piece of memory, as they are sent.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    /// Begins a call.
    pub(super) fn of(script: &'static Script) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(0);
        Self { script, command }
    }

    /// Adds an argument; whole numbers are written in digits.
    pub(super) fn push(&mut self, value: impl ToRedisArgs) {
        self.command.arg(value);
    }

    /// Adds an argument and hands the rest on.
    #[must_use]
    pub(super) fn with(mut self, value: impl ToRedisArgs) -> Self {
        self.push(value);
        self
    }

    /// Calls the script. A server that does not know it, after a restart, is told it first; then nothing was done yet.
    pub(super) async fn run(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        let answer = self.command.query_async(connection).await;
        match answer {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.script.load_async(connection).await?;
                self.command.query_async(connection).await
            }
            answer => answer,
        }
    }
}
