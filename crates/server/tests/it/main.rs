//! The server as its clients meet it: over a socket.

#[cfg(test)]
mod api;
#[cfg(test)]
mod basics;
#[cfg(test)]
mod house;
