//! Notes what a worker takes and lets go, where a transport can't tell whose hands a message is in.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::{
    Broker, BrokerAdmin, BrokerError, Capabilities, FetchRequest, Fetched, LeaseTag, Notifier, Publication,
    Renewal, Settled, Settlement,
};
use celeriac_protocol::{Envelope, JobId};

/// What a line begins with.
const TAKEN: char = '+';
const LET_GO: char = '-';

/// A transport that notes in a file which messages its worker was handed, and which it let go.
///
/// A message is noted as taken before the worker has it, and as let go after the transport has sent that to the
/// server. So whatever a killed worker had begun and had not let go stands there, as the file of a process outlives a
/// kill; what the server had pushed ahead to it and nobody had begun does not, as no job of that can run twice.
pub(crate) struct Marked {
    broker: Arc<dyn Broker>,
    marks: Mutex<File>,
}

impl Marked {
    /// Notes in `path` from now on.
    pub(crate) fn new(broker: Arc<dyn Broker>, path: &Path) -> anyhow::Result<Self> {
        let marks = Mutex::new(File::options().append(true).create(true).open(path)?);
        Ok(Self { broker, marks })
    }

    fn note<'i>(&self, mark: char, ids: impl Iterator<Item = &'i JobId>) {
        let lines: String = ids.map(|id| format!("{mark}{id}\n")).collect();
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.write_all(lines.as_bytes()).expect("there is room for the marks");
    }
}

/// Reads which jobs a worker had in hand when it wrote its last.
pub(crate) fn in_hand(path: &Path) -> anyhow::Result<HashSet<JobId>> {
    let mut in_hand = HashSet::new();
    // It writes nothing before it takes something.
    let marks = if path.exists() { std::fs::read_to_string(path)? } else { String::new() };
    for line in marks.lines() {
        match line.strip_prefix(TAKEN) {
            Some(id) => drop(in_hand.insert(JobId::parse(id)?)),
            None => drop(in_hand.remove(&JobId::parse(line.trim_start_matches(LET_GO))?)),
        }
    }
    Ok(in_hand)
}

#[async_trait]
impl Broker for Marked {
    fn capabilities(&self) -> Capabilities {
        self.broker.capabilities()
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        self.broker.publish(envelopes).await
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        let fetched = self.broker.fetch(request).await?;
        self.note(TAKEN, fetched.deliveries.iter().map(|one| &one.envelope.id));
        Ok(fetched)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        let settled = self.broker.settle(settlements).await?;
        self.note(LET_GO, settlements.iter().map(|one| &one.delivery.envelope.id));
        Ok(settled)
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        self.broker.renew(tags, lease).await
    }

    async fn leave(&self, queues: &[String], holder: &str) -> Result<(), BrokerError> {
        self.broker.leave(queues, holder).await
    }

    fn priority_from_wire(&self, number: u8) -> u8 {
        self.broker.priority_from_wire(number)
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        self.broker.notifier()
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self.broker.admin()
    }
}
