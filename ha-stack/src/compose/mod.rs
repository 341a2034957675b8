//! Virtual routers, checks and proxies composed into one stack.

mod backends;
mod bus;
mod checking;
mod control;
mod drive;
mod event;
mod handle;
mod hmac;
mod input;
mod instance;
mod local;
pub mod node;
mod notify;
mod proxies;
mod reply;
mod sources;
mod stack;
mod start;
mod status;
mod switchover;
mod upstream_check;

pub use event::{Event, Events};
pub use handle::{Controller, Handle};
pub use hmac::SetHmacError;
pub use instance::{Instance, Track};
pub use node::Node;
pub use notify::{FifoError, Notify, NotifyFifo};
pub use proxies::ProxyError;
pub use reply::{Reply, Stopped};
pub use stack::{BuildError, Stack, StackBuilder};
pub use start::StartError;
pub use status::{BackendCheckStatus, CheckStatus, InstanceStatus, NodeStatus, ProxyStatus, Status};
pub use switchover::SwitchoverError;
pub use upstream_check::UpstreamCheck;
