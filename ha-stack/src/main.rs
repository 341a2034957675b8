//! The `ha-stack` daemon.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    ha_stack::cli::main()
}
