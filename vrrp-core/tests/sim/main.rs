//! Virtual routers on the simulated LAN.

mod cases;
mod elections;
mod faults;
mod random;
mod rules;
mod support;
