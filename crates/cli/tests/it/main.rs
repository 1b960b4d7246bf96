//! The command line as its users meet it: through the binary.

#[cfg(test)]
mod access;
#[cfg(test)]
#[cfg(feature = "amqp")]
mod amqp;
#[cfg(test)]
mod config;
#[cfg(test)]
mod dead;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod enqueue;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod help;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod output;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod server;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod worker;
#[cfg(test)]
mod workflow;
