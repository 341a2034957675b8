//! How a group's next backend is found.

pub(super) mod ring;
mod sequence;
