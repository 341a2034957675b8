//! The proxies, which are started and ended while everything else goes on.

use std::sync::Arc;
use std::time::Duration;

use lb_proxy::proxy::{ProxyConfig, Server, ServerHandle, StartError};
use tokio::task::JoinSet;

use super::status::ProxyStatus;

/// All proxies of a stack. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Proxies(Vec<Slot>);

/// A proxy that runs, or can be started again.
#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    config: ProxyConfig,
    server: Option<ServerHandle>,
}

impl Proxies {
    /// # Errors
    /// The first that doesn't start, and why. None runs then.
    pub(super) fn start(configs: Vec<(Arc<str>, ProxyConfig)>) -> Result<Self, (Arc<str>, StartError)> {
        // On an error the handles of those before are dropped, which ends them.
        let start = |(name, config): (Arc<str>, ProxyConfig)| match Server::spawn(config.clone()) {
            Ok(server) => Ok(Slot {
                name,
                config,
                server: Some(server),
            }),
            Err(error) => Err((name, error)),
        };
        configs.into_iter().map(start).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn status(&self) -> Vec<ProxyStatus> {
        let status = |proxy: &Slot| ProxyStatus {
            name: Arc::clone(&proxy.name),
            server: proxy.server.as_ref().map(ServerHandle::status),
        };
        self.0.iter().map(status).collect()
    }

    /// Ends one at once. Its name comes back unless it had been ended before.
    pub(super) fn abort(&mut self, name: &str) -> Result<Option<Arc<str>>, ProxyError> {
        let slot = self.slot(name)?;
        Ok(slot.server.take().map(|server| {
            server.abort();
            Arc::clone(&slot.name)
        }))
    }

    /// Starts one that was ended, and gives its name back.
    pub(super) fn restart(&mut self, name: &str) -> Result<Arc<str>, ProxyError> {
        let slot = self.slot(name)?;
        if slot.server.is_some() {
            return Err(ProxyError::Running(name.to_owned()));
        }
        slot.server = Some(Server::spawn(slot.config.clone())?);
        Ok(Arc::clone(&slot.name))
    }

    /// Lets all of them finish the requests under way. Each tells how many connections it had to cut.
    pub(super) fn drain(&mut self, deadline: Duration, drains: &mut JoinSet<usize>) {
        for proxy in &mut self.0 {
            if let Some(server) = proxy.server.take() {
                drains.spawn(async move {
                    let cut = server.shutdown(deadline).await;
                    // Its threads have nothing left to do; this waits for them to be gone.
                    server.abort();
                    cut
                });
            }
        }
    }

    fn slot(&mut self, name: &str) -> Result<&mut Slot, ProxyError> {
        let found = self.0.iter_mut().find(|proxy| &*proxy.name == name);
        found.ok_or_else(|| ProxyError::Unknown(name.to_owned()))
    }
}

/// Why a proxy was not started or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// There is none of that name.
    #[error("there is no proxy {0}")]
    Unknown(String),
    /// It runs already.
    #[error("proxy {0} runs already")]
    Running(String),
    /// It can't be started.
    #[error(transparent)]
    Start(#[from] StartError),
}
