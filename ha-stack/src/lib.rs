//! ha-stack
