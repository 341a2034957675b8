//! Routes: a look-up by host and path.

use std::hint::black_box;

use lb_proxy::route::{Action, RouteConfig, Routes};

use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    [10, 1_000]
        .map(|routes| Case {
            name: format!("route/find/{routes}"),
            run: Box::new(move |times| find(routes, times)),
        })
        .into()
}

/// Ten paths a host, as many hosts as that takes; a path of the last host, and more of it than the route says.
fn find(routes: u32, times: u64) {
    let configs = (0..routes).map(|number| {
        RouteConfig::prefix(format!("/app-{}/", number % 10), Action::Upstream(0))
            .host(format!("host-{}.example", number / 10))
    });
    let table = Routes::new(configs).expect("valid");
    let host = format!("host-{}.example", (routes - 1) / 10);
    for _ in 0..times {
        let route = table.find(black_box(&host), black_box("/app-7/items/17"));
        black_box(route.expect("it is there"));
    }
}
