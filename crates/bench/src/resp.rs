//! Redis' protocol with nothing around it: commands are written in a row, and then their answers are read.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::Context as _;

/// Is responsible for one connection.
pub(crate) struct Resp {
    answers: BufReader<TcpStream>,
    out: Vec<u8>,
    /// How many answers are still to be read.
    open: usize,
}

/// An answer, as far as anybody here asks for it.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Number(i64),
    Text(Option<Vec<u8>>),
    List(Vec<Answer>),
}

impl Resp {
    /// Connects to `redis://host:port/database`, of which only the database 0 is used.
    pub(crate) fn connect(url: &str) -> anyhow::Result<Self> {
        let address = url.trim_start_matches("redis://").trim_end_matches("/0");
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {url}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { answers: BufReader::with_capacity(1 << 16, stream), out: Vec::new(), open: 0 })
    }

    /// Adds a command to what is sent next.
    pub(crate) fn push(&mut self, words: &[&[u8]]) {
        self.out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
        self.open += 1;
    }

    /// Sends what was pushed and returns the answers in its order.
    pub(crate) fn run(&mut self) -> anyhow::Result<Vec<Answer>> {
        self.answers.get_mut().write_all(&self.out)?;
        self.out.clear();
        (0..std::mem::take(&mut self.open)).map(|_| self.read()).collect()
    }

    /// Sends one command that answers with a number.
    pub(crate) fn number(&mut self, words: &[&str]) -> anyhow::Result<i64> {
        self.push(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        match self.run()?.pop() {
            Some(Answer::Number(number)) => Ok(number),
            other => anyhow::bail!("{words:?} answered {other:?}"),
        }
    }

    fn read(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("the server has hung up")?;
        Ok(match kind {
            ":" => Answer::Number(rest.parse()?),
            "+" => Answer::Text(Some(rest.as_bytes().to_vec())),
            "$" => Answer::Text(self.text(rest.parse()?)?),
            "*" => {
                let count = rest.parse::<i64>()?.max(0);
                Answer::List((0..count).map(|_| self.read()).collect::<Result<_, _>>()?)
            }
            _ => anyhow::bail!("the server says {line}"),
        })
    }

    fn text(&mut self, bytes: i64) -> anyhow::Result<Option<Vec<u8>>> {
        let Ok(bytes) = usize::try_from(bytes) else { return Ok(None) };
        let mut text = vec![0; bytes + 2];
        self.answers.read_exact(&mut text)?;
        text.truncate(bytes);
        Ok(Some(text))
    }
}
