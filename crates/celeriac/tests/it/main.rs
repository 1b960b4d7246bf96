//! What a user's own program gets from the facade.

#[cfg(test)]
mod embedded;
#[cfg(test)]
mod hello;
#[cfg(test)]
mod house;
#[cfg(test)]
mod nudge;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod support;
