//! What is said once for all virtual routers.

use super::{conf, load, read, toml};

#[test]
fn a_default_for_all_instances_is_that_of_each_one() {
    let defaults = [
        ("vrrp_version 3", "version 3"),
        ("v3_checksum_as_v2", "v3_checksum_as_v2"),
        ("vrrp_garp_master_delay 2", "garp_master_delay 2"),
        ("vrrp_garp_master_repeat 2", "garp_master_repeat 2"),
        ("vrrp_garp_master_refresh 60", "garp_master_refresh 60"),
        (
            "vrrp_garp_master_refresh_repeat 2",
            "garp_master_refresh_repeat 2",
        ),
        ("vrrp_garp_lower_prio_delay 2", "garp_lower_prio_delay 2"),
        ("vrrp_garp_lower_prio_repeat 2", "garp_lower_prio_repeat 2"),
        ("vrrp_lower_prio_no_advert", "lower_prio_no_advert"),
        ("vrrp_higher_prio_send_advert off", "higher_prio_send_advert off"),
        ("vrrp_owner_ignore_adverts", "owner_ignore_adverts"),
        ("vrrp_down_timer_adverts 5", "down_timer_adverts 5"),
        ("vrrp_skip_check_adv_addr", "skip_check_adv_addr"),
        ("vrrp_strict", "strict_mode"),
        ("vrrp_check_unicast_src off", "check_unicast_src off"),
        ("vrrp_notify_priority_changes on", "notify_priority_changes on"),
    ];
    for (global, own) in defaults {
        let with_default = format!("global_defs {{\n{global}\n}}\n{}", conf(""));
        let both = (read("d.conf", &with_default), read("o.conf", &conf(own)));
        assert_eq!(both.0.instances(), both.1.instances(), "{global}");
    }
}

#[test]
fn a_default_in_toml_is_that_of_each_one_and_its_own_word_wins() {
    let defaults = [
        ("version = 3", "version = 2"),
        ("checksum = \"message-only\"", "checksum = \"pseudo-header\""),
        ("priority = 90", "priority = 110"),
        ("adver_interval = \"2s\"", "adver_interval = \"3s\""),
        ("preempt = false", "preempt = true"),
        ("preempt_delay = \"5s\"", "preempt_delay = \"6s\""),
        ("startup_delay = \"5s\"", "startup_delay = \"6s\""),
        ("down_timer_adverts = 5", "down_timer_adverts = 4"),
        (
            "damping = { transitions = 3, window = \"5m\" }",
            "damping = { transitions = 4, window = \"5m\" }",
        ),
        ("reassert = false", "reassert = true"),
        (
            "higher_prio_send_advert = false",
            "higher_prio_send_advert = true",
        ),
        ("owner_ignore_adverts = true", "owner_ignore_adverts = false"),
        ("demotion = \"yield\"", "demotion = \"plain\""),
        ("address_mismatch = \"accept\"", "address_mismatch = \"discard\""),
        ("strict_mode = true", "strict_mode = false"),
        ("announce_delay = \"2s\"", "announce_delay = \"3s\""),
        ("announce_repeat = 2", "announce_repeat = 3"),
        ("announce_refresh = \"60s\"", "announce_refresh = \"70s\""),
        ("announce_refresh_repeat = 2", "announce_refresh_repeat = 3"),
        (
            "lower_prio_announce_delay = \"2s\"",
            "lower_prio_announce_delay = \"3s\"",
        ),
        ("lower_prio_announce_repeat = 2", "lower_prio_announce_repeat = 3"),
        ("source = \"192.0.2.10\"", "source = \"192.0.2.12\""),
        ("peers = [\"192.0.2.11\"]", "peers = [\"192.0.2.12\"]"),
        ("vmac = true", "vmac = false"),
        ("accept = false", "accept = true"),
        ("promote_secondaries = true", "promote_secondaries = false"),
        ("track_primary = false", "track_primary = true"),
        ("lease = false", "lease = \"5s\""),
        ("unicast_ttl = 64", "unicast_ttl = 128"),
        ("check_unicast_src = false", "check_unicast_src = true"),
    ];
    let plain = read("p.toml", &toml("")).instances().to_vec();
    for (default, other) in defaults {
        let with = |own| {
            let text = format!("{}[vrrp_defaults]\n{default}\n", toml(own));
            read("d.toml", &text).instances().to_vec()
        };
        let without = |own| read("o.toml", &toml(own)).instances().to_vec();
        assert_eq!(with(""), without(default), "{default}");
        assert_ne!(with(""), plain, "{default} changes nothing");
        assert_eq!(with(other), without(other), "{other} is its own word");
        assert_ne!(with(other), with(""), "{other} does not win");
    }
    // These mean something beside another key alone.
    for (base, default, other) in [
        ("vmac = true", "vmac_xmit_base = true", "vmac_xmit_base = false"),
        (
            "source = \"192.0.2.10\"",
            "track_source = true",
            "track_source = false",
        ),
    ] {
        let with = |own: &str| {
            let text = format!("{}[vrrp_defaults]\n{default}\n", toml(&format!("{base}\n{own}")));
            read("d.toml", &text).instances().to_vec()
        };
        let without = |own: &str| {
            read("o.toml", &toml(&format!("{base}\n{own}")))
                .instances()
                .to_vec()
        };
        assert_eq!(with(""), without(default), "{default}");
        assert_ne!(with(""), without(""), "{default} changes nothing");
        assert_eq!(with(other), without(other), "{other} is its own word");
        assert_ne!(with(other), with(""), "{other} does not win");
    }
    let no_interface =
        toml("").replace("interface = \"eth0\"", "") + "[vrrp_defaults]\ninterface = \"eth0\"\n";
    assert_eq!(read("i.toml", &no_interface).instances(), plain);
    // IPv6 has version 3, whatever the default is.
    let dual = toml("").replace("[\"192.0.2.100\"]", "[\"192.0.2.100\", \"fe80::100\"]");
    let both = read("6.toml", &format!("{dual}[vrrp_defaults]\nversion = 2\n"));
    assert_eq!(both.instances(), read("6.toml", &dual).instances());
}

/// A file with a virtual router of each family, and one of both.
#[test]
fn a_default_of_both_families_is_taken_by_the_one_that_it_fits() {
    const OF_BOTH: &str = "source = [\"192.0.2.10\", \"fe80::10\"]\npeers = [\"192.0.2.11\", \"fe80::11\"]\n";
    let router = |vrid: u8, addresses: &str, own: &str| {
        format!(
            "[[vrrp]]\nname = \"r{vrid}\"\ninterface = \"eth0\"\nvrid = {vrid}\nversion = 3\n\
             addresses = [{addresses}]\n{own}\n"
        )
    };
    let (ipv4, ipv6) = ("\"192.0.2.100\"", "\"fe80::100\"");
    let both = "\"192.0.2.101\", \"fe80::101\"";
    let text = router(1, ipv4, "") + &router(2, ipv6, "") + &router(3, both, "");
    let by_default = read("d.toml", &format!("{text}[vrrp_defaults]\n{OF_BOTH}"));
    let own = [
        "source = \"192.0.2.10\"\npeers = [\"192.0.2.11\"]",
        "source = \"fe80::10\"\npeers = [\"fe80::11\"]",
        OF_BOTH,
    ];
    let said = router(1, ipv4, own[0]) + &router(2, ipv6, own[1]) + &router(3, both, own[2]);
    assert_eq!(by_default.instances(), read("o.toml", &said).instances());

    // Its own word must fit.
    let (builder, told) = load("o.toml", &router(1, ipv4, OF_BOTH));
    assert!(builder.is_none(), "{told}");
    assert!(
        told.contains("source fe80::10 of a virtual router of IPv4"),
        "{told}"
    );

    // A source of the other family alone leaves its own; peers of the other family alone would leave the group.
    let default = "[vrrp_defaults]\nsource = \"192.0.2.10\"\n";
    let sourceless = read("d.toml", &(router(2, ipv6, "") + default));
    assert_eq!(
        sourceless.instances(),
        read("o.toml", &router(2, ipv6, "")).instances()
    );
    let default = "[vrrp_defaults]\npeers = [\"192.0.2.11\"]\n";
    let (builder, told) = load("d.toml", &(router(2, ipv6, "") + default));
    assert!(builder.is_none(), "{told}");
    assert!(
        told.contains("192.0.2.11") && told.contains("d.toml:9:10"),
        "{told}"
    );
}
