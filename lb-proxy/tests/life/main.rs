//! What becomes of backends: in virtual time, and, where threads are the point, with threads.

mod classify;
mod drain;
mod ejection;
mod limits;
mod model;
mod panic;
mod queue;
mod slow_start;
mod support;
mod suspects;
