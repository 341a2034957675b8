//! Requests a second by client, as nginx's `limit_req` counts them.

use std::net::IpAddr;
use std::time::Duration;

use super::key::{Key, LimitError, Prefixes, Shards, check_clients, check_status};
use super::recent::Recent;

/// The highest rate a second or minute, and the greatest burst, in requests.
const MOST: u32 = 1_000_000;

/// Nothing is remembered of a client that was quiet for so long and owes nothing, as in nginx.
const QUIET_MS: u64 = 60_000;

/// A rate limit's settings; [`RateLimit::new`] checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until a limit is made of them"]
pub struct RateLimitConfig {
    rate: u32,
    /// The seconds that the rate is meant for: 1 or 60.
    seconds: u32,
    burst: u32,
    undelayed: u32,
    clients: usize,
    prefixes: Prefixes,
    status: u16,
}

impl RateLimitConfig {
    /// So many requests a second (`rate=10r/s`), 1 to 1,000,000.
    pub fn per_second(requests: u32) -> Self {
        Self {
            rate: requests,
            seconds: 1,
            burst: 0,
            undelayed: 0,
            clients: 1 << 16,
            prefixes: Prefixes::default(),
            status: 503,
        }
    }

    /// So many requests a minute (`rate=30r/m`), 1 to 1,000,000.
    pub fn per_minute(requests: u32) -> Self {
        Self {
            seconds: 60,
            ..Self::per_second(requests)
        }
    }

    /// Sets how many requests beyond the rate are not refused, but delayed until their time: 0 by default.
    pub fn burst(mut self, requests: u32) -> Self {
        self.burst = requests;
        self
    }

    /// Sets how many of the burst pass without delay (nginx: `delay=`); 0 by default.
    pub fn delay_after(mut self, requests: u32) -> Self {
        self.undelayed = requests;
        self
    }

    /// Lets all of the burst pass without delay (nginx: `nodelay`).
    pub fn no_delay(self) -> Self {
        self.delay_after(u32::MAX)
    }

    /// Sets of how many clients count is kept; 65,536 by default, some 70 bytes each. If there are more, the one that
    /// was quiet for the longest time is forgotten, and starts afresh.
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// Sets how many bits of an IPv4 address tell clients apart; 32 by default.
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.prefixes.ipv4 = bits;
        self
    }

    /// Sets how many bits of an IPv6 address tell clients apart; 64 by default, 128 is nginx's.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.prefixes.ipv6 = bits;
        self
    }

    /// Sets the status of refusals, 400 to 599: 503 by default, as in nginx; 429 says that it is the client's doing.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn check(&self) -> Result<(), LimitError> {
        if !(1..=MOST).contains(&self.rate) {
            return Err(LimitError::Rate {
                got: self.rate,
                most: MOST,
            });
        }
        if self.burst > MOST {
            return Err(LimitError::Burst {
                got: self.burst,
                most: MOST,
            });
        }
        check_clients(self.clients)?;
        check_status(self.status)?;
        self.prefixes.check()
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on after this time.
    Delay(Duration),
    /// It is answered with [`RateLimit::status`].
    Refuse,
}

/// Requests a second by client: a leaky bucket each, in thousandths of a request and in milliseconds, exactly as
/// nginx's `limit_req`. All workers share one.
#[derive(Debug)]
pub struct RateLimit {
    shards: Shards<Shard>,
    /// Thousandths of a request that leak in a second.
    rate: u64,
    burst: u64,
    undelayed: u64,
    config: RateLimitConfig,
}

#[derive(Debug)]
struct Shard {
    buckets: Recent<Bucket>,
    counts: RateLimitStatus,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    last_ms: u64,
    /// Thousandths of a request that are in it.
    excess: u64,
}

/// What a limit did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitStatus {
    /// Clients that count is kept of.
    pub clients: usize,
    /// Requests that passed at once.
    pub passed: u64,
    /// Requests that had to wait.
    pub delayed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Clients that were forgotten for want of room: [`RateLimitConfig::clients`] is too low if this grows.
    pub forgotten: u64,
}

impl RateLimit {
    /// Makes a limit that counts from now on.
    ///
    /// # Errors
    /// A rate, burst, number of clients, prefix or status outside its range.
    pub fn new(config: RateLimitConfig) -> Result<Self, LimitError> {
        config.check()?;
        Ok(Self {
            shards: Shards::new(config.clients, |share, hashing| Shard {
                buckets: Recent::new(share, hashing),
                counts: RateLimitStatus::default(),
            }),
            rate: u64::from(config.rate) * 1_000 / u64::from(config.seconds),
            burst: u64::from(config.burst) * 1_000,
            undelayed: u64::from(config.undelayed) * 1_000,
            config,
        })
    }

    /// Decides on a request that `client` makes at `now`, and counts it unless it is refused.
    #[inline]
    pub fn check(&self, now: Duration, client: IpAddr) -> Verdict {
        let key = self.config.prefixes.key(client);
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.shards.lock(key).check(self, now_ms, key)
    }

    /// The status to refuse with.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.config.status
    }

    /// What it was made of: who applies a new config keeps this limit, and its counts, if that is the same.
    pub const fn config(&self) -> RateLimitConfig {
        self.config
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> RateLimitStatus {
        let mut sum = RateLimitStatus::default();
        for shard in self.shards.each() {
            sum.clients += shard.buckets.len();
            sum.passed += shard.counts.passed;
            sum.delayed += shard.counts.delayed;
            sum.refused += shard.counts.refused;
            sum.forgotten += shard.counts.forgotten;
        }
        sum
    }

    /// What leaks from a bucket until `now_ms`: nothing if another worker's clock was ahead.
    const fn leaked(&self, bucket: &Bucket, now_ms: u64) -> u64 {
        self.rate.saturating_mul(now_ms.saturating_sub(bucket.last_ms)) / 1_000
    }
}

impl Shard {
    fn check(&mut self, limit: &RateLimit, now_ms: u64, key: Key) -> Verdict {
        let Some(bucket) = self.buckets.touch(key) else {
            self.forget_quiet(limit, now_ms);
            let first = Bucket {
                last_ms: now_ms,
                excess: 0,
            };
            self.counts.forgotten += u64::from(self.buckets.insert(key, first));
            self.counts.passed += 1;
            return Verdict::Pass;
        };
        // nginx adds the request before it looks whether the bucket ran empty meanwhile.
        let excess = (bucket.excess + 1_000).saturating_sub(limit.leaked(bucket, now_ms));
        if excess > limit.burst {
            self.counts.refused += 1;
            return Verdict::Refuse;
        }
        bucket.excess = excess;
        bucket.last_ms = bucket.last_ms.max(now_ms);
        let waiting = excess.saturating_sub(limit.undelayed);
        if waiting == 0 {
            self.counts.passed += 1;
            return Verdict::Pass;
        }
        self.counts.delayed += 1;
        Verdict::Delay(Duration::from_millis(waiting * 1_000 / limit.rate))
    }

    /// Drops up to two clients that are quiet and owe nothing, so that the table doesn't grow to its bound for nothing.
    fn forget_quiet(&mut self, limit: &RateLimit, now_ms: u64) {
        for _ in 0..2 {
            let Some(oldest) = self.buckets.oldest() else {
                return;
            };
            let quiet = now_ms.saturating_sub(oldest.last_ms) >= QUIET_MS;
            if !quiet || oldest.excess > limit.leaked(oldest, now_ms) {
                return;
            }
            self.buckets.remove_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn without_burst_requests_keep_their_distance() {
        let limit = RateLimit::new(RateLimitConfig::per_second(10)).unwrap();
        assert_eq!(limit.check(ms(0), A), Verdict::Pass);
        assert_eq!(limit.check(ms(99), A), Verdict::Refuse);
        assert_eq!(limit.check(ms(99), B), Verdict::Pass);
        // A refusal is not counted, so it doesn't put off the next.
        assert_eq!(limit.check(ms(100), A), Verdict::Pass);
        assert_eq!(limit.check(ms(199), A), Verdict::Refuse);
        let counts = limit.counts();
        assert_eq!(
            (counts.clients, counts.passed, counts.delayed, counts.refused),
            (2, 3, 0, 2)
        );
    }

    #[test]
    fn a_burst_is_delayed_to_the_rate() {
        let limit = RateLimit::new(RateLimitConfig::per_second(10).burst(3)).unwrap();
        let verdicts: Vec<Verdict> = (0..5).map(|_| limit.check(ms(0), A)).collect();
        let delay = |delay| Verdict::Delay(ms(delay));
        assert_eq!(
            verdicts,
            [Verdict::Pass, delay(100), delay(200), delay(300), Verdict::Refuse]
        );
        assert_eq!(limit.check(ms(50), A), Verdict::Refuse);
        assert_eq!(limit.check(ms(150), A), delay(250));
    }

    #[test]
    fn part_of_a_burst_or_all_of_it_goes_undelayed() {
        let config = RateLimitConfig::per_second(10).burst(3);
        let limit = RateLimit::new(config.delay_after(1)).unwrap();
        let verdicts: Vec<Verdict> = (0..5).map(|_| limit.check(ms(0), A)).collect();
        let delay = |delay| Verdict::Delay(ms(delay));
        assert_eq!(
            verdicts,
            [
                Verdict::Pass,
                Verdict::Pass,
                delay(100),
                delay(200),
                Verdict::Refuse
            ]
        );
        let limit = RateLimit::new(config.no_delay()).unwrap();
        let passed = (0..9).filter(|_| limit.check(ms(0), A) == Verdict::Pass).count();
        assert_eq!(passed, 4);
    }

    #[test]
    fn a_rate_a_minute_is_counted_in_thousandths() {
        let limit = RateLimit::new(RateLimitConfig::per_minute(30)).unwrap();
        assert_eq!(limit.check(ms(0), A), Verdict::Pass);
        assert_eq!(limit.check(ms(1_999), A), Verdict::Refuse);
        assert_eq!(limit.check(ms(2_000), A), Verdict::Pass);
        // As nginx, which has 16 thousandths a second for one a minute.
        let limit = RateLimit::new(RateLimitConfig::per_minute(1)).unwrap();
        assert_eq!(limit.check(ms(0), A), Verdict::Pass);
        assert_eq!(limit.check(ms(62_499), A), Verdict::Refuse);
        assert_eq!(limit.check(ms(62_500), A), Verdict::Pass);
    }

    #[test]
    fn a_clock_that_is_behind_is_harmless() {
        let limit = RateLimit::new(RateLimitConfig::per_second(10)).unwrap();
        assert_eq!(limit.check(ms(1_000), A), Verdict::Pass);
        assert_eq!(limit.check(ms(900), A), Verdict::Refuse);
        assert_eq!(limit.check(ms(1_099), A), Verdict::Refuse);
        assert_eq!(limit.check(Duration::MAX, A), Verdict::Pass);
    }

    #[test]
    fn memory_is_bounded_and_the_client_that_was_quiet_longest_is_forgotten() {
        let limit = RateLimit::new(RateLimitConfig::per_minute(1).clients(2)).unwrap();
        let c: IpAddr = [192, 0, 2, 3].into();
        assert_eq!(limit.check(ms(0), A), Verdict::Pass);
        assert_eq!(limit.check(ms(1), B), Verdict::Pass);
        assert_eq!(limit.check(ms(2), A), Verdict::Refuse); // A is the newer one again
        assert_eq!(limit.check(ms(3), c), Verdict::Pass); // B is forgotten
        assert_eq!(limit.check(ms(4), A), Verdict::Refuse);
        assert_eq!(limit.check(ms(5), B), Verdict::Pass); // and c
        let counts = limit.counts();
        assert_eq!((counts.clients, counts.forgotten), (2, 2));
    }

    #[test]
    fn quiet_clients_are_forgotten_without_need() {
        let limit = RateLimit::new(RateLimitConfig::per_second(1).clients(200)).unwrap();
        for client in 0..100 {
            limit.check(ms(0), [10, 0, 0, client].into());
        }
        assert_eq!(limit.counts().clients, 100);
        for client in 0..50 {
            limit.check(ms(60_000), [10, 0, 1, client].into());
        }
        let counts = limit.counts();
        assert_eq!((counts.clients, counts.forgotten), (50, 0));
    }

    #[test]
    fn ipv6_clients_are_told_apart_by_64_bits() {
        let limit = RateLimit::new(RateLimitConfig::per_second(1)).unwrap();
        assert_eq!(limit.check(ms(0), "2001:db8::1".parse().unwrap()), Verdict::Pass);
        assert_eq!(
            limit.check(ms(0), "2001:db8::2".parse().unwrap()),
            Verdict::Refuse
        );
        assert_eq!(
            limit.check(ms(0), "2001:db8:0:1::1".parse().unwrap()),
            Verdict::Pass
        );
    }

    #[test]
    fn settings_outside_their_range_are_refused() {
        let config = RateLimitConfig::per_second(1);
        for config in [
            RateLimitConfig::per_second(0),
            RateLimitConfig::per_minute(MOST + 1),
            config.burst(MOST + 1),
            config.clients(0),
            config.clients((1 << 24) + 1),
            config.ipv4_prefix(0),
            config.ipv6_prefix(129),
            config.status(399),
            config.status(600),
        ] {
            assert!(RateLimit::new(config).is_err(), "{config:?}");
        }
        assert_eq!(RateLimit::new(config.status(429)).unwrap().status(), 429);
    }

    proptest! {
        #[test]
        fn each_client_gets_what_a_bucket_of_its_own_gives(
            rate in 1_u32..3_000,
            burst in 0_u32..6,
            undelayed in 0_u32..6,
            requests in proptest::collection::vec((0_u8..4, 0_u64..700), 1..200),
        ) {
            let config = RateLimitConfig::per_second(rate).burst(burst).delay_after(undelayed);
            let limit = RateLimit::new(config).unwrap();
            // Exact: in thousandths of milliseconds of work that are still to be done, one bucket a client.
            let mut naive: HashMap<u8, (u64, f64)> = HashMap::new();
            let mut now = 0;
            for (client, pause) in requests {
                now += pause;
                let verdict = limit.check(ms(now), [10, 0, 0, client].into());
                let bucket = naive.entry(client).or_insert((now, -1.0));
                let level = (bucket.1 - (now - bucket.0) as f64 * f64::from(rate) / 1_000.0).max(-1.0) + 1.0;
                // nginx rounds what leaks down, each time: allow a thousandth of a request for each request so far.
                let slack = 0.2;
                match verdict {
                    Verdict::Refuse => {
                        prop_assert!(level > f64::from(burst) - slack, "refused at {level}");
                        continue;
                    }
                    Verdict::Pass => prop_assert!(level <= f64::from(undelayed.min(burst)) + slack, "passed at {level}"),
                    Verdict::Delay(delay) => {
                        prop_assert!(level <= f64::from(burst) + slack, "delayed at {level}");
                        let ideal = (level - f64::from(undelayed)).max(0.0) * 1_000.0 / f64::from(rate);
                        let off = (delay.as_secs_f64() * 1_000.0 - ideal).abs();
                        prop_assert!(off <= 1.0 + slack * 1_000.0 / f64::from(rate), "{delay:?} instead of {ideal} ms");
                    }
                }
                *bucket = (now, level);
            }
        }

        #[test]
        fn no_more_pass_than_rate_and_burst_allow(
            rate in 1_u32..500,
            burst in 0_u32..10,
            pauses in proptest::collection::vec(0_u64..50, 1..300),
        ) {
            let limit = RateLimit::new(RateLimitConfig::per_second(rate).burst(burst).no_delay()).unwrap();
            let mut now = 0;
            let mut passed = Vec::new();
            for pause in pauses {
                now += pause;
                if limit.check(ms(now), A) == Verdict::Pass {
                    passed.push(now);
                }
            }
            for (index, &from) in passed.iter().enumerate() {
                for (count, &to) in passed[index..].iter().enumerate() {
                    let allowed = u64::from(burst) + 1 + (to - from) * u64::from(rate) / 1_000;
                    prop_assert!(count as u64 <= allowed, "{} from {from} to {to} ms", count + 1);
                }
            }
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}
