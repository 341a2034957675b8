//! Routes beside a model that goes through all of them, as nginx's manual tells it.

use lb_proxy::route::{Action, NotFound, Route, RouteConfig, Routes, normalise};
use proptest::prelude::*;

proptest! {
    // Making texts by patterns is slow, and each case has many of them.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn look_ups_find_what_going_through_all_routes_finds(
        routes in proptest::collection::vec((host_pattern(), path(), any::<bool>()), 1..25),
        requests in proptest::collection::vec((host(), request_path()), 16),
    ) {
        // The first of two routes for the same stays.
        let mut kept: Vec<(String, String, bool)> = Vec::new();
        for (pattern, path, exact) in routes {
            let same = |other: &(String, String, bool)| {
                other.1 == path && other.2 == exact && names(&other.0).iter().any(|name| names(&pattern).contains(name))
            };
            if !kept.iter().any(same) {
                kept.push((pattern, path, exact));
            }
        }
        let configs = kept.iter().enumerate().map(|(index, (pattern, path, exact))| {
            let action = Action::Upstream(index);
            let route = if *exact { RouteConfig::exact(path, action) } else { RouteConfig::prefix(path, action) };
            route.host(pattern).slash_redirect(false)
        });
        let routes = Routes::new(configs).unwrap();
        for (host, path) in requests {
            let expected = naive(&kept, &host, &path);
            let found = routes.find(&host, &path).map(Route::index);
            prop_assert_eq!(found.map_err(NotFound::status), expected, "{} {} in {:?}", host, path, kept);
        }
    }

    #[test]
    fn a_normalised_path_is_normal_and_stays_so(path in proptest::collection::vec(any::<u8>(), 0..30)) {
        let path = [b"/", &path[..]].concat();
        if let Ok(normal) = normalise(&path) {
            prop_assert!(normal.starts_with(b"/"));
            prop_assert!(!normal.windows(2).any(|pair| pair == b"//"));
            prop_assert!(normal.split(|&byte| byte == b'/').all(|segment| segment != b"." && segment != b".."));
            let escaped: Vec<u8> = normal.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect();
            let escaped = [b"/", &escaped[..]].concat();
            prop_assert_eq!(&*normalise(&escaped).unwrap(), &*normal);
        }
    }

    #[test]
    fn no_target_leads_out_of_what_replaces_its_prefix(target in request_path(), prefix in path(), query in "[?a/.]{0,3}") {
        let route = RouteConfig::prefix(&prefix, Action::Upstream(0)).replace_prefix("/in/side").slash_redirect(false);
        let routes = Routes::new([route]).unwrap();
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let target = target + &query;
        if let Ok(route) = routes.find("a", &target) {
            let mut forwarded = Vec::new();
            route.write_target(&target, &mut forwarded);
            let forwarded = String::from_utf8(forwarded).unwrap();
            prop_assert!(forwarded.ends_with(&query) && forwarded.bytes().all(|byte| byte.is_ascii_graphic()));
            let path = &forwarded[..forwarded.len() - query.len()];
            let seen = normalise(path.as_bytes()).unwrap();
            prop_assert!(seen.starts_with(b"/in/side"), "{target} became {forwarded}");
            // And it is the rest of the path that the route was found by.
            let asked = normalise(target.split('?').next().unwrap().as_bytes()).unwrap();
            let rest = &asked[prefix.len()..];
            let rest = normalise(&[b"/in/side", rest].concat().iter().flat_map(|&b| escape(b)).collect::<Vec<u8>>()).unwrap().into_owned();
            prop_assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(&rest));
        }
    }
}

/// nginx's manual: exact name, longest wildcard with a leading asterisk, longest with a trailing one, default; then
/// exact path, longest prefix. `Err` with the status to answer.
fn naive(routes: &[(String, String, bool)], host: &str, path: &str) -> Result<usize, u16> {
    let name = host.split(':').next().unwrap().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let all = || routes.iter().flat_map(|(pattern, ..)| names(pattern));
    let rank = |pattern: &str| -> Option<(u8, usize)> {
        if pattern == name {
            Some((3, 0))
        } else if let Some(suffix) = pattern.strip_prefix('*').filter(|suffix| !suffix.is_empty()) {
            (name.len() > suffix.len() && name.ends_with(suffix)).then_some((2, suffix.len()))
        } else if let Some(prefix) = pattern.strip_suffix('*').filter(|prefix| !prefix.is_empty()) {
            (name.len() > prefix.len() && name.starts_with(prefix)).then_some((1, prefix.len()))
        } else {
            (pattern == "*").then_some((0, 0))
        }
    };
    let best = all()
        .filter(|pattern| rank(pattern).is_some())
        .max_by_key(|pattern| rank(pattern))
        .ok_or(404_u16)?;
    let path = normalise(path.split('?').next().unwrap().as_bytes()).map_err(|_| 400_u16)?;
    let mut found: Option<(bool, usize, usize)> = None;
    for (index, (pattern, route, exact)) in routes.iter().enumerate() {
        let fits = if *exact {
            *path == *route.as_bytes()
        } else {
            path.starts_with(route.as_bytes())
        };
        if names(pattern).contains(&best)
            && fits
            && found.is_none_or(|best| (*exact, route.len()) > (best.0, best.1))
        {
            found = Some((*exact, route.len(), index));
        }
    }
    found.map(|(_, _, index)| index).ok_or(404)
}

/// What a pattern stands for.
fn names(pattern: &str) -> Vec<String> {
    match pattern.strip_prefix('.') {
        Some(name) => vec![name.to_owned(), format!("*.{name}")],
        None => vec![pattern.to_owned()],
    }
}

fn host_pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab](\\.[ab]){0,2}",
        "\\*\\.[ab](\\.[ab]){0,2}",
        "\\.[ab](\\.[ab]){0,2}",
        "[ab](\\.[ab]){0,2}\\.\\*",
        Just("*".to_owned()),
    ]
}

fn host() -> impl Strategy<Value = String> {
    "[abAB](\\.[abAB]){0,4}\\.?(:80)?"
}

/// A path of a route: short, so that routes share prefixes.
fn path() -> impl Strategy<Value = String> {
    "/([ab]{1,2}/){0,3}[ab]{0,2}"
}

/// A path as clients write it.
fn request_path() -> impl Strategy<Value = String> {
    "/([ab]{1,2}|\\.|\\.\\.|%61|%2[eEfF]|/|;){0,8}"
}

fn escape(byte: u8) -> Vec<u8> {
    if byte == b'/' {
        vec![byte]
    } else {
        format!("%{byte:02x}").into_bytes()
    }
}
