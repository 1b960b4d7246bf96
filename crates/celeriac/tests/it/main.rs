//! What a user's own program gets from the facade.

#[cfg(test)]
mod hello;
