//! Interfaces of the machine; changes are tested with the whole stack.
#![cfg(feature = "probe")]

mod support;

use ha_health::probe::{Interface, run_watch};
use ha_health::{Failure, WatchConfig};
use support::Told;

#[tokio::test]
async fn loopback_is_there_and_is_told_again_each_second() {
    let mut told = Told::by(Interface::new("lo"));
    for _ in 0..2 {
        assert_ne!(told.next().await.failure(), Some(Failure::NoInterface));
    }
}

#[tokio::test]
async fn an_interface_that_does_not_exist_is_down() {
    let config = WatchConfig::builder("uplink").build().unwrap();
    let (told, mut first) = tokio::sync::mpsc::unbounded_channel();
    let on_output = move |_: &_, output| told.send(output).unwrap();
    let shutdown = async { drop(first.recv().await) };
    let check = run_watch(config, &Interface::new("no-such-if"), on_output, shutdown).await;
    assert_eq!(check.up(), Some(false));
    assert_eq!(
        check.last_outcome().unwrap().failure(),
        Some(Failure::NoInterface)
    );
}
