//! How messages are sent where neither the caller nor the task says so.

use celeriac_protocol::BodyForm;

/// How messages are sent where neither the caller nor the task says so.
#[derive(Clone, Debug, Default)]
pub struct Sending {
    /// In which serializer, and compressed how: Celery's `task_serializer` and `task_compression`.
    pub form: BodyForm,
}
