//! What a user of this crate may rely on, tried from outside.

#[cfg(test)]
mod common;
#[cfg(test)]
mod direct;
#[cfg(test)]
mod migrator;
#[cfg(test)]
mod open;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod writer;
