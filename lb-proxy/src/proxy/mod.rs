//! The reverse proxy: listeners, upstream pools, forwarding.
