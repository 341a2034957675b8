//! Keywords of keepalived that nothing is made of, with what follows from that.

use crate::config::Diagnostic;

/// Says that a keyword has no effect, and what follows.
pub(super) fn warning(keyword: &str, consequence: &str) -> Diagnostic {
    Diagnostic::warning(format!("`{keyword}` is not supported: {consequence}"))
}

/// What follows from leaving out a block at the top of a file.
pub(super) fn top_level(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "vrrp_sync_group" => "its virtual routers fail over each by itself",
        "virtual_server" | "virtual_server_group" | "real_server" => {
            "IPVS is not set up; balance with [[upstream]] and [[proxy]] in a TOML file"
        }
        "vrrp_track_process" | "track_process" => {
            "the process is not watched; use a vrrp_script, or a check by tcp or http"
        }
        "vrrp_track_file" | "track_file" => "the file is not watched; use a vrrp_script",
        "bfd_instance" => "no BFD session is held; failures are found by missing adverts",
        "static_ipaddress" | "static_routes" | "static_rules" => {
            "the network configuration of the host must do it"
        }
        "track_group" | "garp_group" | "interface_up_down_delays" | "linkbeat_interfaces" | "group" => {
            "the defaults apply"
        }
        "net_namespace" | "net_namespace_ipvs" | "namespace_with_ipsets" | "instance" | "use_pid_dir" => {
            "start the program in the namespace instead (ip netns exec)"
        }
        _ => return None,
    })
}

/// What follows from leaving out a setting of `global_defs`.
pub(super) fn global(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "notification_email"
        | "notification_email_from"
        | "smtp_server"
        | "smtp_connect_timeout"
        | "smtp_helo_name"
        | "smtp_alert"
        | "smtp_alert_vrrp"
        | "smtp_alert_checker"
        | "no_email_faults" => "no mail is sent; events are in the log",
        "vrrp_strict" => {
            "checks that it asks for are made anyway, and traffic to the virtual addresses is not dropped"
        }
        "vrrp_skip_check_adv_addr" => "adverts of VRRPv2 with other addresses are dropped, as RFC 3768 says",
        "notify_fifo" | "notify_fifo_script" | "vrrp_notify_fifo" | "vrrp_notify_fifo_script" => {
            "nothing is written to the FIFO; events are in the log"
        }
        "vrrp_iptables" | "vrrp_ipsets" | "nftables" | "nftables_priority" | "nftables_ifindex" => {
            "no firewall rules are added"
        }
        "enable_snmp_vrrp"
        | "enable_snmp_keepalived"
        | "enable_snmp_checker"
        | "enable_snmp_rfc"
        | "enable_snmp_rfcv2"
        | "enable_snmp_rfcv3"
        | "enable_traps"
        | "snmp_socket"
        | "enable_dbus"
        | "dbus_service_name" => "use `ha-stack status --json`",
        "enable_script_security" => {
            "see to it that only root can write the scripts and the folders that they are in"
        }
        "vrrp_startup_delay" | "vrrp_delay_after_boot" => "virtual routers start at once",
        "max_auto_priority"
        | "vrrp_priority"
        | "vrrp_rt_priority"
        | "vrrp_cpu_affinity"
        | "vrrp_no_swap"
        | "vrrp_rlimit_rttime"
        | "vrrp_rlimit_rtime"
        | "checker_priority"
        | "checker_no_swap"
        | "min_auto_priority_delay" => "adverts are sent by a thread of their own, with ordinary scheduling",
        "vrrp_mcast_group4" | "vrrp_mcast_group6" => "adverts go to 224.0.0.18 and ff02::12",
        "vrrp_garp_master_refresh"
        | "vrrp_garp_master_refresh_repeat"
        | "vrrp_garp_lower_prio_delay"
        | "vrrp_garp_lower_prio_repeat"
        | "vrrp_garp_interval"
        | "vrrp_gna_interval"
        | "vrrp_min_garp"
        | "vrrp_garp_extra_if" => {
            "addresses are announced on taking over, once more after vrrp_garp_master_delay, and when another master is heard"
        }
        "vrrp_lower_prio_no_advert"
        | "vrrp_higher_prio_send_advert"
        | "vrrp_down_timer_adverts"
        | "vrrp_owner_ignore_adverts"
        | "vrrp_check_unicast_src"
        | "vrrp_notify_priority_changes"
        | "default_interface"
        | "dynamic_interfaces"
        | "log_unknown_vrids"
        | "reload_check_config"
        | "reload_time_file"
        | "reload_file"
        | "json_version"
        | "state_dump_file"
        | "stats_dump_file"
        | "json_dump_file"
        | "process_names"
        | "umask"
        | "random_seed"
        | "include_check"
        | "vmac_prefix"
        | "vmac_addr_prefix"
        | "startup_script"
        | "shutdown_script"
        | "startup_script_timeout"
        | "shutdown_script_timeout"
        | "lvs_sync_daemon"
        | "lvs_timeouts"
        | "lvs_flush"
        | "lvs_id"
        | "vrrp_version_strict"
        | "child_wait_time"
        | "config_save_dir"
        | "tmp_config_directory"
        | "disable_local_igmp"
        | "fifo_write_vrrp_states_on_reload"
        | "vrrp_rx_bufs_policy"
        | "vrrp_rx_bufs_multiplier"
        | "rs_init_notifies"
        | "no_checker_emails"
        | "max_fifo_users" => "the defaults apply",
        _ => return None,
    })
}

/// What follows from leaving out a setting of `vrrp_instance`.
pub(super) fn instance(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "notify"
        | "notify_master"
        | "notify_backup"
        | "notify_fault"
        | "notify_stop"
        | "notify_deleted"
        | "notify_master_rx_lower_pri"
        | "notify_priority_changes" => "no program is run on a change of state",
        "smtp_alert" => "no mail is sent; events are in the log",
        "use_vmac" | "use_vmac_addr" | "vmac_xmit_base" | "use_ipvlan" => {
            "the addresses have the interface's own MAC; hosts learn of a move by gratuitous ARP"
        }
        "virtual_routes" | "virtual_rules" => "no routes or rules move with the addresses",
        "track_process" => "the process is not watched; use a vrrp_script, or a check by tcp or http",
        "track_file" => "the file is not watched; use a vrrp_script",
        "track_bfd" => "no BFD session is held; failures are found by missing adverts",
        "garp_master_refresh"
        | "garp_master_refresh_repeat"
        | "garp_lower_prio_delay"
        | "garp_lower_prio_repeat"
        | "garp_extra_if"
        | "vmac_garp_intvl" => {
            "addresses are announced on taking over, once more after garp_master_delay, and when another master is heard"
        }
        "accept" | "no_accept" => "traffic to the virtual addresses is accepted while master",
        "strict_mode" => {
            "checks that it asks for are made anyway, and traffic to the virtual addresses is not dropped"
        }
        "mcast_dst_ip" => "adverts go to 224.0.0.18 and ff02::12",
        "unicast_ttl" | "check_unicast_src" | "unicast_fault_no_peer" | "old_unicast_checksum" => {
            "the defaults apply to unicast adverts"
        }
        "auth_hmac" => "adverts are neither signed nor checked",
        "vrf" => "start the program in the VRF instead (ip vrf exec)",
        "no_virtual_ipaddress" => "a virtual router needs an address",
        "down_timer_adverts" => "a backup waits for three missing adverts",
        "lower_prio_no_advert" => "a master answers a lower advert at once",
        "higher_prio_send_advert"
        | "owner_ignore_adverts"
        | "skip_check_adv_addr"
        | "dont_track_primary"
        | "track_src_ip"
        | "native_ipv6"
        | "linkbeat_use_polling"
        | "kernel_rx_buf_size"
        | "debug"
        | "lvs_sync_daemon_interface"
        | "timer_expired_backup"
        | "thread_timer_expired"
        | "promote_secondaries" => "the defaults apply",
        _ => return None,
    })
}
