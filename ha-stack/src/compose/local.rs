//! Checks without virtual routers, on the control thread.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use vrrp_net::{Effect, Routers as _};

use super::node::{Command, Node, NodeEvent};

/// Drives a node that has no virtual router until its commands end.
pub(super) async fn run(
    mut node: Node,
    mut commands: mpsc::UnboundedReceiver<Command>,
    mut publish: impl FnMut(NodeEvent),
) {
    let epoch = Instant::now();
    loop {
        // 1. Wait for a command, or until something is due.
        let wake = node.poll_timeout();
        let command = tokio::select! {
            // A result that came in time counts before the timeout that it just met.
            biased;
            command = commands.recv() => Some(command),
            () = sleep_until(epoch, wake) => None,
        };
        // 2. Feed it.
        let now = epoch.elapsed();
        match command {
            Some(Some(command)) => node.handle_command(now, command),
            Some(None) => return,
            None => node.handle_timeout(now),
        }
        // 3. Drain the outputs; 4. the loop arms the timer anew.
        while let Some(effect) = node.poll_output() {
            if let Effect::Event(event) = effect {
                publish(event);
            }
        }
    }
}

async fn sleep_until(epoch: Instant, wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(epoch + wake).await,
        None => std::future::pending().await,
    }
}
