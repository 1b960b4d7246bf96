//! What tasks may use beyond their context: one value of each type, handed in when a worker is built.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::Need;

/// Holds one value of each type. Cloning is cheap and shares the values.
#[derive(Clone, Default)]
pub struct States {
    values: Arc<HashMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>>,
}

impl States {
    /// Adds a value, in place of one of the same type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        Arc::make_mut(&mut self.values).insert(TypeId::of::<T>(), (type_name::<T>(), Arc::new(value)));
        self
    }

    /// Returns the value of type `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.values.get(&TypeId::of::<T>()).and_then(|(_, value)| value.downcast_ref())
    }

    /// Says whether there is a value for `need`.
    pub(crate) fn meets(&self, need: &Need) -> bool {
        self.values.contains_key(&need.type_id)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.values().map(|(name, _)| name)).finish()
    }
}
