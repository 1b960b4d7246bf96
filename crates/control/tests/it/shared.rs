//! A queue in memory that takes itself for one whose messages others may take, too.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{
    Broker, BrokerAdmin, BrokerError, Capabilities, FetchRequest, Fetched, LeaseTag, MemoryBroker, Notifier,
    Publication, Renewal, Settled, Settlement,
};
use celeriac_protocol::Envelope;

pub(crate) struct Shared(pub(crate) Arc<MemoryBroker>);

#[async_trait::async_trait]
impl Broker for Shared {
    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, ..self.0.capabilities() }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        self.0.publish(envelopes).await
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        self.0.fetch(request).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        self.0.settle(settlements).await
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        self.0.renew(tags, lease).await
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        self.0.notifier()
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self.0.admin()
    }
}
