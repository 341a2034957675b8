//! Dropping frames in a bridge with nf_tables.
//!
//! One table of family `bridge` holds a chain at prerouting and one at forward. Each change replaces the table in one
//! transaction, so that no frame sees half of it.

use std::io;

pub(super) use crate::nft::is_missing;
use crate::nft::{Batch, Socket, meta, msg, verdict};

/// Which frames to drop. Numbers are interface indices of bridge ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drop {
    /// All that arrive at `input`, before the bridge looks at them.
    Arriving { input: u32 },
    /// Those that the bridge is about to send out at `output`, or of these only those that came in at `input`.
    Forwarded { input: Option<u32>, output: u32 },
}

const TABLE: &str = "lab";
const NFPROTO_BRIDGE: u8 = 7;
// linux/netfilter_bridge.h
const PRE_ROUTING: u32 = 0;
const FORWARD: u32 = 2;
/// Ahead of whatever else may be hooked in (NF_BR_PRI_FILTER_BRIDGED).
const PRIORITY: i32 = -200;

/// Drops these frames and no others. Acts on the calling thread's network namespace.
///
/// # Errors
/// `ENOENT` or `EOPNOTSUPP` where the kernel has no nf_tables for bridges.
pub(super) fn replace_drops(drops: &[Drop]) -> io::Result<()> {
    let mut batch = Batch::new(NFPROTO_BRIDGE);
    // Deleting what does not exist fails the transaction; creating what exists does not.
    batch.table(msg::NEW_TABLE, TABLE, 0);
    batch.table(msg::DEL_TABLE, TABLE, 0);
    if !drops.is_empty() {
        batch.table(msg::NEW_TABLE, TABLE, 0);
        batch.chain(TABLE, "arriving", PRE_ROUTING, PRIORITY);
        batch.chain(TABLE, "forwarded", FORWARD, PRIORITY);
        for drop in drops {
            add_rule(&mut batch, *drop);
        }
    }
    batch.commit(&Socket::open()?)
}

fn add_rule(batch: &mut Batch, drop: Drop) {
    let (chain, input, output) = match drop {
        Drop::Arriving { input } => ("arriving", Some(input), None),
        Drop::Forwarded { input, output } => ("forwarded", input, Some(output)),
    };
    batch.rule(TABLE, chain, |expressions| {
        if let Some(input) = input {
            expressions.meta_is(meta::IIF, &input.to_ne_bytes());
        }
        if let Some(output) = output {
            expressions.meta_is(meta::OIF, &output.to_ne_bytes());
        }
        expressions.verdict(verdict::DROP);
    });
}
