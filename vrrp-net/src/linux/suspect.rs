//! Who manages an interface, and so may have removed an address of ours from it.

use std::fs;
use std::path::Path;

/// The program, and what keeps it from doing so.
pub(super) fn suspect(interface: &str) -> Option<&'static str> {
    let index = fs::read_to_string(Path::new("/sys/class/net").join(interface).join("ifindex")).ok()?;
    let read = |folder: &str| fs::read_to_string(Path::new(folder).join(index.trim())).ok();
    accuse(
        read("/run/systemd/netif/links").as_deref(),
        read("/run/NetworkManager/devices").as_deref(),
    )
}

/// `networkd` and `network_manager` are what these programs keep about the interface.
fn accuse(networkd: Option<&str>, network_manager: Option<&str>) -> Option<&'static str> {
    if networkd.is_some_and(|state| !state.contains("ADMIN_STATE=unmanaged")) {
        return Some("systemd-networkd (set KeepConfiguration=yes in the interface's .network file)");
    }
    if network_manager.is_some_and(|state| !state.contains("managed=false")) {
        return Some("NetworkManager (nmcli device set INTERFACE managed no keeps it away)");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_manages_the_interface_is_suspected() {
        let networkd = "ADMIN_STATE=configured\nOPER_STATE=routable\n";
        assert!(
            accuse(Some(networkd), None)
                .unwrap()
                .starts_with("systemd-networkd")
        );
        let unmanaged = "ADMIN_STATE=unmanaged\n";
        let manager = "[device]\nmanaged=true\n";
        assert!(
            accuse(Some(unmanaged), Some(manager))
                .unwrap()
                .starts_with("NetworkManager")
        );
        assert_eq!(accuse(Some(unmanaged), Some("[device]\nmanaged=false\n")), None);
        assert_eq!(accuse(None, None), None);
    }
}
