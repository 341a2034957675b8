//! Settings: the defaults, and what can't be built.

use std::time::Duration;

use vrrp_core::{
    AddressList, AuthenticationConfig, ChecksumForm, Config, ConfigBuilder, ConfigError, Demotion, Family,
    HmacConfig, HmacKey, MAX_PREEMPT_DELAY, Priority, Version, VirtualRouter, Vrid,
};

use crate::support::*;

fn defaults(vip: &str) -> Config {
    let addresses = AddressList::new(&[ip(vip)]).unwrap();
    Config::builder(Vrid::new(51).unwrap(), addresses)
        .build()
        .unwrap()
}

#[test]
fn the_defaults_are_those_of_keepalived() {
    let config = defaults(VIP);
    assert_eq!((config.version(), config.family()), (Version::V2, Family::Ipv4));
    assert_eq!(config.priority(), Priority::new(100));
    assert_eq!(config.adver_interval(), centis(100));
    assert_eq!((config.preempt(), config.preempt_delay()), (true, Duration::ZERO));
    assert_eq!(config.announce_delay(), secs(5));
    assert_eq!(config.checksum(), ChecksumForm::PseudoHeader);
    assert!(config.peers().is_empty());
    assert_eq!(config.demotion(), Demotion::Elect, "where we do better");
    assert_eq!(defaults("fe80::100").version(), Version::V3);
}

#[test]
fn what_no_version_can_send_can_not_be_built() {
    for cs in [1, 99, 101, 150] {
        let error = v2(100).adver_interval(centis(cs)).build().unwrap_err();
        assert_eq!(
            error,
            ConfigError::AdverInterval {
                version: Version::V2,
                got: centis(cs)
            }
        );
        assert!(error.to_string().contains("version 3"), "{error}");
    }
    assert!(v2(100).adver_interval(centis(25_500)).build().is_ok());
    let error = v3(100).adver_interval(centis(4096)).build().unwrap_err();
    assert_eq!(
        error,
        ConfigError::AdverInterval {
            version: Version::V3,
            got: centis(4096)
        }
    );
    for cs in [1, 4095] {
        assert!(v3(100).adver_interval(centis(cs)).build().is_ok());
    }
}

#[test]
fn what_contradicts_itself_can_not_be_built() {
    assert_eq!(
        v3(255).preempt(false).build().unwrap_err(),
        ConfigError::OwnerWithoutPreempt
    );
    let too_long = MAX_PREEMPT_DELAY + Duration::from_nanos(1);
    let error = v3(100).preempt_delay(too_long).build().unwrap_err();
    assert_eq!(error, ConfigError::PreemptDelay { got: too_long });
    assert!(v3(100).preempt_delay(MAX_PREEMPT_DELAY).build().is_ok());
    let error = v3(100).startup_delay(too_long).build().unwrap_err();
    assert_eq!(error, ConfigError::StartupDelay { got: too_long });
    for adverts in [0, 101] {
        let error = v3(100).down_timer_adverts(adverts).build().unwrap_err();
        assert_eq!(error, ConfigError::DownTimerAdverts { got: adverts });
    }
    assert!(v3(100).down_timer_adverts(100).build().is_ok());
    let flood = Duration::from_millis(999);
    let error = v3(100).announce_refresh(flood).build().unwrap_err();
    assert_eq!(error, ConfigError::AnnounceRefresh { got: flood });
    assert!(v3(100).announce_refresh(Duration::from_secs(1)).build().is_ok());
    let error = v3(100).peers(&[ip(HIGHER), ip("fe80::1")]).build().unwrap_err();
    assert_eq!(
        error,
        ConfigError::PeerFamily {
            family: Family::Ipv4,
            peer: ip("fe80::1")
        }
    );

    let addresses = AddressList::new(&[ip("fe80::100")]).unwrap();
    let ipv6 = Config::builder(Vrid::new(51).unwrap(), addresses).version(Version::V2);
    assert_eq!(ipv6.build().unwrap_err(), ConfigError::Ipv6InV2);
}

#[test]
fn a_password_is_for_version_2_has_one_to_eight_octets_and_is_never_shown() {
    let password = AuthenticationConfig::simple("s3cret").unwrap();
    assert_eq!(
        v3(100).authentication(password.clone()).build().unwrap_err(),
        ConfigError::AuthenticationInV3
    );
    for wrong in ["", "123456789"] {
        let error = AuthenticationConfig::simple(wrong).unwrap_err();
        assert_eq!(error, ConfigError::PasswordLength { got: wrong.len() });
    }
    assert!(AuthenticationConfig::simple("12345678").is_ok());
    let config = v2(100).authentication(password).build().unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(!format!("{config:?}").contains("115, 51"), "not as octets either");
}

#[test]
fn the_length_of_a_packet_is_that_of_what_is_sent() {
    let secret = HmacKey::new(1, &[7; 32]).unwrap();
    let hmac = AuthenticationConfig::from(HmacConfig::new(secret));
    let cases = [
        (VIP, v2(100), 28 + 8),
        (
            VIP,
            v2(100).authentication(AuthenticationConfig::simple("1111").unwrap()),
            28 + 8,
        ),
        (
            VIP,
            v2(100).authentication(AuthenticationConfig::ah("1111").unwrap()),
            28 + 24 + 8,
        ),
        (VIP, v3(100), 28),
        (VIP, v3(100).authentication(hmac.clone()), 28 + 28),
        ("fe80::100", v3_of("fe80::100"), 48),
        ("fe80::100", v3_of("fe80::100").authentication(hmac), 48 + 28),
    ];
    for (vip, config, around) in cases {
        let config = config.build().unwrap();
        let (family, len) = (config.family(), config.packet_len());
        assert_eq!(len, around + family.address_len());
        assert_eq!(config.max_addresses(len), 1);
        assert_eq!(config.max_addresses(len - 1), 0);
        assert_eq!(config.max_addresses(len + 254 * family.address_len()), 255);
        assert_eq!(
            config.max_addresses(usize::MAX),
            255,
            "what the count says at most"
        );
        let source = ip(if family == Family::Ipv4 { OWN } else { "fe80::10" });
        let mut router = VirtualRouter::new(config, source);
        let advert = router.next_advert(secs(1_700_000_000), Priority::new(100));
        let sent = match advert.ah() {
            Some(advert) => advert.wire_len(),
            None if vip == VIP => 20 + advert.wire_len(),
            None => 40 + advert.wire_len(),
        };
        assert_eq!(sent, len);
    }
}

fn v3_of(vip: &str) -> ConfigBuilder {
    let addresses = AddressList::new(&[ip(vip)]).unwrap();
    Config::builder(Vrid::new(51).unwrap(), addresses).version(Version::V3)
}
