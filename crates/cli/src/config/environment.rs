//! Settings from the environment: `CELERIAC_SECTION__KEY`, and below them Celery's own names and those
//! of schedulers.

use super::{Given, Layers, Origin, celery, redis, scheduler};
use crate::error::Result;

/// What all of our variables begin with.
pub(crate) const PREFIX: &str = "CELERIAC_";

/// Names the configuration file.
pub(crate) const FILE_VARIABLE: &str = "CELERIAC_CONFIG";

/// What variables begin with that only tests set; the configuration does not look at them.
const TEST_PREFIX: &str = "CELERIAC_TEST_";

/// Takes settings out of the environment; returns what was found and is not used, in words.
pub(super) fn apply(layers: &mut Layers, variables: &[(String, String)]) -> Result<Vec<String>> {
    redis::apply(layers, variables)?;
    for honoured in celery::HONOURED {
        let found = variables.iter().find(|(name, value)| name == honoured.variable && !value.is_empty());
        if let Some((name, value)) = found {
            let value = Given::Text((honoured.translate)(value));
            layers.set(honoured.key, value, &Origin::Env { variable: name.clone() })?;
        }
    }
    let mut warnings = scheduler::apply(layers, variables)?;
    for partly in celery::PARTLY {
        match variables.iter().find(|(name, value)| name == partly.variable && !value.is_empty()) {
            Some((name, value)) if (partly.understands)(value) => {
                layers.set(
                    partly.key,
                    Given::Text(value.clone()),
                    &Origin::Env { variable: name.clone() },
                )?;
            }
            Some((name, _)) => warnings.push(format!("{name} is set and not used: {}", partly.reason)),
            None => {}
        }
    }
    for (name, value) in variables {
        if let Some(rest) = name.strip_prefix(PREFIX)
            && name != FILE_VARIABLE
            && !name.starts_with(TEST_PREFIX)
        {
            let key = rest.to_ascii_lowercase().replace("__", ".");
            layers.set(&key, Given::Text(value.clone()), &Origin::Env { variable: name.clone() })?;
        }
    }
    warnings.extend(ignored(variables));
    Ok(warnings)
}

fn ignored(variables: &[(String, String)]) -> Vec<String> {
    let asks = |ignored: &celery::Ignored| {
        let set = variables.iter().find(|(name, value)| name == ignored.variable && !value.is_empty());
        set.is_some_and(|(_, value)| !ignored.fits.contains(&value.to_ascii_lowercase().as_str()))
    };
    let found = celery::IGNORED.iter().filter(|ignored| asks(ignored));
    found.map(|ignored| format!("{} is set and not used: {}", ignored.variable, ignored.reason)).collect()
}

/// Returns the variable that sets a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}
