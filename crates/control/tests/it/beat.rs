//! The schedule: what is due is enqueued, once, by however many schedulers.

mod declared;
mod editing;
mod faults;
mod firing;
mod house;
mod importing;
mod outbox;
mod policies;
mod race;
