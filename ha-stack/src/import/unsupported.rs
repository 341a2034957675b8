//! Keywords of keepalived that nothing is made of, with what follows from that.

use crate::config::Diagnostic;

/// Keywords with the same consequence.
pub(super) struct Unsupported {
    keywords: &'static [&'static str],
    /// What follows from leaving them out.
    consequence: &'static str,
}

/// All of them for people.
pub(super) fn all(table: &'static [Unsupported]) -> Vec<(&'static [&'static str], &'static str)> {
    table.iter().map(|one| (one.keywords, one.consequence)).collect()
}

/// What follows from leaving out a keyword.
pub(super) fn find(all: &'static [Unsupported], keyword: &str) -> Option<&'static str> {
    let found = all.iter().find(|one| one.keywords.contains(&keyword));
    found.map(|one| one.consequence)
}

/// Says that a keyword has no effect, and what follows.
pub(super) fn warning(keyword: &str, consequence: &str) -> Diagnostic {
    Diagnostic::warning(format!("`{keyword}` is not supported: {consequence}"))
}

/// Keywords that are blocks at the top of a file.
pub(super) const TOP_LEVEL: &[Unsupported] = &[
    Unsupported {
        keywords: &["virtual_server", "virtual_server_group", "real_server"],
        consequence: "IPVS is not set up; balance with [[upstream]] and [[proxy]] in a TOML file",
    },
    Unsupported {
        keywords: &["bfd_instance"],
        consequence: "no BFD session is held; failures are found by missing adverts",
    },
    Unsupported {
        keywords: &["static_ipaddress", "static_routes", "static_rules"],
        consequence: "the network configuration of the host must do it",
    },
    Unsupported {
        keywords: &[
            "track_group",
            "garp_group",
            "interface_up_down_delays",
            "linkbeat_interfaces",
            "group",
        ],
        consequence: "the defaults apply",
    },
    Unsupported {
        keywords: &[
            "net_namespace",
            "net_namespace_ipvs",
            "namespace_with_ipsets",
            "instance",
            "use_pid_dir",
        ],
        consequence: "start the program in the namespace instead (ip netns exec)",
    },
];

/// Keywords in `global_defs`.
pub(super) const GLOBAL: &[Unsupported] = &[
    Unsupported {
        // Of static addresses alone: an instance without `interface` is an error there as well.
        keywords: &["default_interface"],
        consequence: "it is for static addresses, which the network configuration of the host must do; each instance needs its `interface`",
    },
    Unsupported {
        keywords: &[
            "vrrp_netlink_cmd_rcv_bufs",
            "vrrp_netlink_cmd_rcv_bufs_force",
            "vrrp_netlink_monitor_rcv_bufs",
            "vrrp_netlink_monitor_rcv_bufs_force",
            "process_monitor_rcv_bufs",
            "process_monitor_rcv_bufs_force",
        ],
        consequence: "sockets have the kernel's buffers, and what is lost in an overrun is read anew",
    },
    Unsupported {
        keywords: &["net_namespace", "net_namespace_ipvs", "instance", "use_pid_dir"],
        consequence: "start the program in the namespace instead (ip netns exec)",
    },
    Unsupported {
        keywords: &[
            "use_symlink_paths",
            "log_file",
            "data_use_instance",
            "iproute_usr_dir",
            "iproute_etc_dir",
            "state_file_location",
            "stats_file_location",
            "json_file_location",
            "vrrp_process_name",
            "checker_process_name",
            "bfd_process_name",
        ],
        consequence: "there is one process, its log goes to stderr, and `ha-stack status --json` tells its state",
    },
    Unsupported {
        keywords: &["linkbeat_use_polling"],
        consequence: "the kernel reports links",
    },
    Unsupported {
        keywords: &[
            "notification_email",
            "notification_email_from",
            "smtp_server",
            "smtp_connect_timeout",
            "smtp_helo_name",
            "smtp_alert",
            "smtp_alert_vrrp",
            "smtp_alert_checker",
            "no_email_faults",
        ],
        consequence: "no mail is sent; events are in the log",
    },
    Unsupported {
        keywords: &[
            "vrrp_iptables",
            "vrrp_ipsets",
            "nftables",
            "nftables_priority",
            "nftables_ifindex",
            "nftables_counters",
        ],
        consequence: "`no_accept` has a table of its own in nf_tables; no other rules are needed",
    },
    Unsupported {
        keywords: &[
            "enable_snmp_vrrp",
            "enable_snmp_keepalived",
            "enable_snmp_checker",
            "enable_snmp_rfc",
            "enable_snmp_rfcv2",
            "enable_snmp_rfcv3",
            "enable_traps",
            "snmp_socket",
            "enable_dbus",
            "dbus_service_name",
            "dbus_no_interface_name",
        ],
        consequence: "use `ha-stack status --json`",
    },
    Unsupported {
        keywords: &[
            "max_auto_priority",
            "vrrp_cpu_affinity",
            "vrrp_rlimit_rttime",
            "vrrp_rlimit_rtime",
            "checker_priority",
            "checker_no_swap",
            "min_auto_priority_delay",
        ],
        consequence: "adverts are sent by a thread of their own; `vrrp_priority`, `vrrp_rt_priority` and `vrrp_no_swap` are for it",
    },
    Unsupported {
        keywords: &["vrrp_mcast_group4", "vrrp_mcast_group6"],
        consequence: "adverts go to 224.0.0.18 and ff02::12",
    },
    Unsupported {
        keywords: &["vrrp_garp_interval", "vrrp_gna_interval", "vrrp_garp_extra_if"],
        consequence: "addresses are announced on taking over, once more after vrrp_garp_master_delay, and when another master is heard",
    },
    Unsupported {
        keywords: &[
            "dynamic_interfaces",
            "log_unknown_vrids",
            "reload_check_config",
            "reload_time_file",
            "reload_file",
            "json_version",
            "state_dump_file",
            "stats_dump_file",
            "json_dump_file",
            "process_names",
            "umask",
            "random_seed",
            "include_check",
            "vmac_prefix",
            "vmac_addr_prefix",
            "startup_script",
            "shutdown_script",
            "startup_script_timeout",
            "shutdown_script_timeout",
            "lvs_sync_daemon",
            "lvs_timeouts",
            "lvs_flush",
            "lvs_id",
            "vrrp_version_strict",
            "child_wait_time",
            "config_save_dir",
            "tmp_config_directory",
            "disable_local_igmp",
            "fifo_write_vrrp_states_on_reload",
            "vrrp_rx_bufs_policy",
            "vrrp_rx_bufs_multiplier",
            "rs_init_notifies",
            "no_checker_emails",
            "max_fifo_users",
        ],
        consequence: "the defaults apply",
    },
];

/// Keywords in `vrrp_instance`.
pub(super) const INSTANCE: &[Unsupported] = &[
    Unsupported {
        keywords: &["native_ipv6"],
        consequence: "the addresses say which family it is",
    },
    Unsupported {
        keywords: &["notify_deleted"],
        consequence: "nothing is deleted while running; a stop runs notify_stop",
    },
    Unsupported {
        keywords: &["smtp_alert"],
        consequence: "no mail is sent; events are in the log",
    },
    Unsupported {
        keywords: &["use_vmac_addr", "use_ipvlan"],
        consequence: "addresses on other interfaces have those interfaces' own MAC; hosts learn of a move by gratuitous ARP",
    },
    Unsupported {
        keywords: &["track_bfd"],
        consequence: "no BFD session is held; failures are found by missing adverts",
    },
    Unsupported {
        keywords: &["garp_extra_if", "vmac_garp_intvl"],
        consequence: "addresses are announced on taking over, once more after garp_master_delay, and when another master is heard",
    },
    Unsupported {
        keywords: &["mcast_dst_ip"],
        consequence: "adverts go to 224.0.0.18 and ff02::12",
    },
    Unsupported {
        keywords: &["old_unicast_checksum"],
        consequence: "the defaults apply to unicast adverts",
    },
    Unsupported {
        keywords: &["vrf"],
        consequence: "start the program in the VRF instead (ip vrf exec)",
    },
    Unsupported {
        keywords: &["no_virtual_ipaddress"],
        consequence: "a virtual router needs an address",
    },
    Unsupported {
        keywords: &[
            "linkbeat_use_polling",
            "kernel_rx_buf_size",
            "debug",
            "lvs_sync_daemon_interface",
            "timer_expired_backup",
            "thread_timer_expired",
        ],
        consequence: "the defaults apply",
    },
];

/// Keywords in `vrrp_sync_group`.
pub(super) const GROUP: &[Unsupported] = &[
    Unsupported {
        keywords: &["track_bfd"],
        consequence: "no BFD session is held; failures are found by missing adverts",
    },
    Unsupported {
        keywords: &["smtp_alert"],
        consequence: "no mail is sent; events are in the log",
    },
    Unsupported {
        keywords: &["notify_deleted"],
        consequence: "nothing is deleted while running; a stop runs notify_stop",
    },
    Unsupported {
        keywords: &["notify_priority_changes"],
        consequence: "a group has no priority; write it in its members",
    },
];
