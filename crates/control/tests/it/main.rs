//! What a user of this crate may rely on, tried from outside.

#[cfg(test)]
mod access;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod app;
#[cfg(test)]
mod beat;
#[cfg(test)]
mod cadence;
#[cfg(test)]
mod celery_beat;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod housekeeping;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod recorder;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod results;
#[cfg(test)]
mod scheduler;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod starter;
#[cfg(test)]
mod workflow;
