//! Everything that one host runs.

mod build;
mod builder;
mod error;

pub use builder::StackBuilder;
pub use error::BuildError;

use std::sync::Arc;

use lb_proxy::balance::Upstream;
use lb_proxy::proxy::ProxyConfig;
use vrrp_net::{Attachment, DriverOptions};

use super::backends::BackendCheck;
use super::checking::CheckedUpstream;
use super::node::Node;
use super::notify::{NotifyFifo, Target};
use super::sources::NamedSource;

/// Virtual routers, checks and proxies that work together: everything that one host runs.
#[derive(Debug)]
pub struct Stack {
    pub(in crate::compose) name: Arc<str>,
    pub(in crate::compose) node: Node,
    pub(in crate::compose) instances: Vec<Arc<str>>,
    pub(in crate::compose) targets: Vec<Target>,
    pub(in crate::compose) fifos: Vec<NotifyFifo>,
    pub(in crate::compose) attachments: Vec<Attachment>,
    pub(in crate::compose) checks: Vec<NamedSource>,
    pub(in crate::compose) upstreams: Vec<Upstream>,
    pub(in crate::compose) backend_checks: Vec<BackendCheck>,
    pub(in crate::compose) checked: Vec<CheckedUpstream>,
    pub(in crate::compose) proxies: Vec<(Arc<str>, ProxyConfig)>,
    pub(in crate::compose) driver: DriverOptions,
}

impl Stack {
    /// Begins a stack; `node` names the host in logs and in the status.
    pub fn builder(node: impl Into<Arc<str>>) -> StackBuilder {
        StackBuilder::new(node.into())
    }
}
