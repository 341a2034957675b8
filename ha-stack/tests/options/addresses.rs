//! Addresses of both families, and more than one advert carries.

use super::{conf, load, read, toml};

#[test]
fn addresses_of_both_families_make_two_virtual_routers() {
    let text = toml("").replace(
        "addresses = [\"192.0.2.100\"]",
        "addresses = [\"192.0.2.100\", \"fe80::100\", \"2001:db8::100\"]\nsource = [\"192.0.2.10\", \"fe80::10\"]\n\
         excluded_addresses = [\"2001:db8::101\"]\ntrack = [\"c\"]\npassword = \"1111\"",
    );
    let builder = read("dual.toml", &text);
    let [four, six] = builder.instances() else {
        panic!("{builder:?}");
    };
    assert_eq!((four.name(), six.name()), ("VI_1", "VI_1-ipv6"));
    assert_eq!(four.config().version(), vrrp_core::Version::V2);
    assert_eq!(six.config().version(), vrrp_core::Version::V3);
    assert_eq!(four.attachment().addresses().len(), 1);
    assert_eq!(six.attachment().addresses().len(), 3);
    assert_eq!(six.config().addresses().as_addresses().iter().count(), 2);
    assert_eq!(four.attachment().source(), Some("192.0.2.10".parse().unwrap()));
    assert_eq!(six.attachment().source(), Some("fe80::10".parse().unwrap()));
    assert_eq!((four.tracks().len(), six.tracks().len()), (1, 1));
}

/// The largest numbers are those that the lab sends in one packet.
#[test]
fn addresses_that_an_ethernet_cannot_carry_in_one_advert_are_told() {
    const HMAC: &str = "hmac = { keys = [{ id = 1, secret = \"0123456789abcdef0123456789abcdef\" }] }";
    const HMAC_CONF: &str = "auth_hmac {\nkey 1 0123456789abcdef0123456789abcdef\n}";
    let list = |count: u16, between: &str| {
        let addresses: Vec<String> = (1..=count)
            .map(|number| format!("{between}fe80::1:{number:x}{between}"))
            .collect();
        addresses.join(if between.is_empty() { "\n" } else { ", " })
    };
    let in_toml = |count, own: &str| {
        let text = toml(&format!("version = 3\n{own}")).replace("\"192.0.2.100\"", &list(count, "\""));
        load("m.toml", &text)
    };
    let in_conf = |count, own: &str| {
        load(
            "m.conf",
            &conf(&format!("version 3\n{own}")).replace("192.0.2.100", &list(count, "")),
        )
    };
    for ((builder, told), place) in [
        (in_toml(90, ""), ""),
        (
            in_toml(91, ""),
            "91 addresses make an advert of 1504 octets, and an MTU of 1500 holds 90 addresses",
        ),
        (in_toml(89, HMAC), ""),
        (
            in_toml(90, HMAC),
            "90 addresses make an advert of 1516 octets, and an MTU of 1500 holds 89 addresses",
        ),
        (in_conf(90, ""), ""),
        (
            in_conf(91, ""),
            "91 addresses make an advert of 1504 octets, and an MTU of 1500 holds 90 addresses",
        ),
        (in_conf(89, HMAC_CONF), ""),
        (
            in_conf(90, HMAC_CONF),
            "90 addresses make an advert of 1516 octets, and an MTU of 1500 holds 89 addresses",
        ),
    ] {
        // A greater MTU would hold them.
        assert!(builder.is_some(), "{told}");
        assert_eq!(told.contains("an MTU of"), !place.is_empty(), "{told}");
        assert!(told.contains(place), "{told}");
        if !place.is_empty() {
            let remedy = ["`excluded_addresses`", "`virtual_ipaddress_excluded`"];
            assert!(remedy.iter().any(|remedy| told.contains(remedy)), "{told}");
            assert!(
                told.contains("m.toml:8:13\n") || told.contains("m.conf:7:1\n"),
                "{told}"
            );
        }
    }
}
