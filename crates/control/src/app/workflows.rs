//! The workflows that an app has: declared with their settings, made when somebody runs it.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use celeriac_engine::{RegistryBuilder, States};

use super::AppError;
use crate::workflow::{Lookout, ProcessPending, Workflow, WorkflowSettings, Workflows};

type Make = Box<
    dyn FnOnce(Workflows, WorkflowSettings, &States) -> Result<Workflows, Box<dyn Error + Send + Sync>>
        + Send,
>;

/// Makes an app's workflows, once, when a worker or a command starts.
#[derive(Default)]
pub(super) struct WorkflowMakers(Vec<WorkflowMaker>);

struct WorkflowMaker {
    name: &'static str,
    settings: WorkflowSettings,
    register: fn(RegistryBuilder) -> RegistryBuilder,
    lookout: fn(WorkflowSettings) -> Lookout,
    make: Mutex<Make>,
}

impl WorkflowMakers {
    /// Declares a workflow.
    pub(super) fn add<W, E, F>(&mut self, settings: WorkflowSettings, make: F)
    where
        W: Workflow,
        E: Into<Box<dyn Error + Send + Sync>>,
        F: FnOnce(&States) -> Result<W, E> + Send + 'static,
    {
        let make = move |workflows: Workflows, settings, states: &States| {
            let workflow = make(states).map_err(Into::into)?;
            Ok(workflows.with(workflow, settings)?)
        };
        self.0.push(WorkflowMaker {
            name: W::NAME,
            settings,
            register: RegistryBuilder::task::<ProcessPending<W>>,
            lookout: Lookout::of::<W>,
            make: Mutex::new(Box::new(make)),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that every workflow has a name of its own by which settings can reach it, and that its
    /// settings can be.
    pub(super) fn check(&self) -> Result<(), AppError> {
        for (place, WorkflowMaker { name, settings, .. }) in self.0.iter().enumerate() {
            let fail = |reason| Err(AppError::WorkflowName { workflow: name, reason });
            if !is_plain(name) {
                return fail("lower-case letters, digits and single underscores make a name, a letter first");
            }
            if self.0[..place].iter().any(|before| before.name == *name) {
                return fail("it was added twice");
            }
            settings.validate().map_err(|source| AppError::WorkflowSettings { workflow: name, source })?;
        }
        Ok(())
    }

    /// Adds the tasks of their runs.
    pub(super) fn register(&self, tasks: RegistryBuilder) -> RegistryBuilder {
        self.0.iter().fold(tasks, |tasks, maker| (maker.register)(tasks))
    }

    /// Returns what a scheduler needs to know of each, and no part of what it takes to run them.
    pub(super) fn lookouts(&self) -> impl Iterator<Item = Lookout> {
        self.0.iter().map(|maker| (maker.lookout)(maker.settings.clone()))
    }

    /// Returns what there is, with its settings.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, &WorkflowSettings)> {
        self.0.iter().map(|maker| (maker.name, &maker.settings))
    }

    /// Replaces the settings of one, if there is such a workflow.
    pub(super) fn configure(
        &mut self,
        name: &str,
        settings: WorkflowSettings,
    ) -> Result<Option<Lookout>, AppError> {
        let Some(maker) = self.0.iter_mut().find(|maker| maker.name == name) else { return Ok(None) };
        let checked = settings.validate();
        checked.map_err(|source| AppError::WorkflowSettings { workflow: maker.name, source })?;
        maker.settings = settings;
        Ok(Some((maker.lookout)(maker.settings.clone())))
    }

    /// Makes them one after the other.
    pub(super) fn make(self, states: &States) -> Result<Workflows, AppError> {
        self.0.into_iter().try_fold(
            Workflows::default(),
            |workflows, WorkflowMaker { name, settings, make, .. }| {
                let make = make.into_inner().unwrap_or_else(PoisonError::into_inner);
                make(workflows, settings, states)
                    .map_err(|source| AppError::Workflow { workflow: name, source })
            },
        )
    }
}

impl fmt::Debug for WorkflowMakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|maker| maker.name)).finish()
    }
}

/// Says whether a name can stand in a key and, in capitals, in the name of a variable.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        && !name.contains("__")
        && !name.ends_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_keys_and_variables() {
        for (name, fits) in [
            ("page", true),
            ("sitemap_import", true),
            ("v2", true),
            ("", false),
            ("Page", false),
            ("sitemap-import", false),
            ("sitemap.import", false),
            ("a__b", false),
            ("a_", false),
            ("2nd", false),
        ] {
            assert_eq!(is_plain(name), fits, "{name}");
        }
    }
}
