//! The engine from outside: what a user relies on.

#[cfg(test)]
mod canvas;
#[cfg(test)]
mod eager;
#[cfg(test)]
mod path;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod second;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod worker;
