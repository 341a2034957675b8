//! Virtual routers, checks and proxies composed into one stack.

mod bus;
mod control;
mod event;
mod handle;
mod hmac;
mod instance;
mod local;
pub mod node;
mod notify;
mod reply;
mod sources;
mod stack;
mod status;
mod switchover;

pub use event::{Event, Events};
pub use handle::{Controller, Handle, ProxyError, StartError};
pub use hmac::SetHmacError;
pub use instance::{Instance, Track};
pub use node::Node;
pub use notify::{FifoError, Notify, NotifyFifo};
pub use reply::{Reply, Stopped};
pub use stack::{BuildError, Stack, StackBuilder};
pub use status::{CheckStatus, InstanceStatus, NodeStatus, ProxyStatus, Status};
pub use switchover::SwitchoverError;
