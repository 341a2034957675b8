//! Configuration files: what they say, what is wrong with them, and the stack that they make.
//!
//! A [`Configuration`] is read from several files at once, in the order given. A file whose name ends in `.toml` is
//! native TOML; with the feature `import` any other is a keepalived.conf.
//!
//! # The native format
//!
//! ```toml
//! [node]
//! name = "lb1"                          # default: the host's name
//!
//! [vrrp_defaults]                       # what each [[vrrp]] of this file says unless it says otherwise
//! version = 2
//!
//! [[vrrp]]                              # a virtual router
//! name = "VI_1"
//! interface = "eth0"
//! vrid = 33
//! addresses = ["192.0.2.100"]           # /32 and /128; or "192.0.2.100/24";
//!                                       # or { address = "…", dev = "eth1", label = "eth1:0" }
//! excluded_addresses = []               # held while master, and not advertised
//! priority = 100                        # 1 to 254; 255 owns the addresses
//! version = 2                           # default: 2 for IPv4, 3 for IPv6
//! adver_interval = "1s"                 # version 3: from "10ms" in steps of 10 ms
//! preempt = true
//! preempt_delay = "0s"
//! source = "192.0.2.10"                 # default: the interface's primary address
//! # peers = ["192.0.2.11"]              # unicast; default: multicast
//! # hmac = { keys = [{ id = 1, secret_file = "/etc/ha/vrrp.key" }] }   # version 3
//! track = ["proxy"]                     # or { check = "proxy", weight = -20, reverse = false }
//! track_interfaces = []                 # or { interface = "eth1", weight = -20 }; the own one always is
//! demotion = "elect"                    # or "yield", "plain": what a master does when its priority drops
//! lease = "3s"                          # lifetime of a held address if this process dies; false for none
//! announce_repeat = 5
//! announce_delay = "5s"                 # announces once more after this time
//! checksum = "pseudo-header"            # version 3 over IPv4; or "message-only"
//! address_mismatch = "discard"          # or "accept": adverts with other addresses
//!
//! [[check]]
//! name = "proxy"
//! http = "127.0.0.1:80"                 # or tcp = "127.0.0.1:80", or script = "/path/to/program --option"
//! path = "/"                            # with http: method, path, host, status, body
//! status = ["200-399"]
//! interval = "1s"
//! timeout = "1s"                        # default: the interval
//! rise = 1
//! fall = 1
//! init_fail = false                     # true: down until it has risen
//! weight = -20                          # 0, the default: a failure is a fault
//!
//! [[upstream]]
//! name = "app"
//! strategy = "weighted"                 # or "round-robin"
//! backends = ["192.0.2.20:8080"]        # or, with more to say:
//! [[upstream.backend]]
//! name = "b"                            # default: the address
//! address = "192.0.2.21:8080"
//! weight = 1
//! max_fails = 1
//! fail_timeout = "10s"
//! max_conns = 0                         # requests under way; 0: any number
//! slow_start = "0s"                     # its share grows that long after a failure
//! spare = false                         # true: used while no other can be
//! down = false
//! check = "app-b"                       # gets requests while this check is up, instead of:
//! [upstream.check]                      # how all others are asked
//! http = "/health"                      # or tcp = true
//! # port = 9000                         # default: the backend's
//! interval = "2s"
//! fast_interval = "500ms"               # while changing; down_interval while down
//! jitter = 20                           # percent
//! timeout = "1s"
//! rise = 2
//! fall = 3
//! mandatory = false                     # true: no requests before it has passed
//! # also: method, host, status, body, max_body, headers, keep_alive
//!
//! [[proxy]]
//! name = "web"                          # default: that of its upstream
//! listen = "0.0.0.0:80"                 # or several in an array
//! upstream = "app"                      # default: the only one there is
//! workers = 2                           # default: one a core
//! freebind = false                      # default: true for a virtual address of this node
//! host = "preserve"                     # or "upstream"; or fixed_host = "www.example.org"
//! forwarded = "append"                  # or "replace", "remove"
//! websocket = true
//! connect_timeout = "5s"                # also read_, send_ and keepalive_timeout
//! max_body = 1048576
//! retry_tries = 3
//! upstream_keepalive = 64
//! ```
//!
//! Times are strings with their unit (`us`, `ms`, `s`, `m`, `h`). A key that is not known is an error. Every key, and
//! every keyword of a keepalived.conf, stands in [`reference()`], which is `CONFIG.md` of this crate.
//!
//! ```
//! use ha_stack::config::Configuration;
//!
//! let mut configuration = Configuration::new();
//! configuration.add_text("lb.toml", "[[vrrp]]\nname = \"VI_1\"\nvrid = 33\nprioritty = 100\n");
//! let loaded = configuration.load();
//! assert_eq!(loaded.diagnostics().errors(), 3);
//! let report = loaded.render(false);
//! assert!(report.contains("unknown key `prioritty` in [[vrrp]]"));
//! assert!(report.contains("lb.toml:4:1"));
//! assert!(report.contains("did you mean `priority`?"));
//! ```

pub(crate) mod checks;
mod diagnostic;
pub(crate) mod draft;
pub(crate) mod format;
pub(crate) mod groups;
pub(crate) mod instance;
mod lint;
pub(crate) mod mac;
pub(crate) mod notify;
pub(crate) mod proxy;
mod reference;
mod resolve;
pub(crate) mod routing;
mod script;
pub(crate) mod secret;
mod source;
pub(crate) mod suggest;
pub(crate) mod toml;
mod unique;
pub(crate) mod watch;

use std::path::Path;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use reference::reference;
pub use source::{FileId, MAX_FILE, Place, ReadError, Sources, Span, Spanned};

use crate::{Stack, StackBuilder};
use draft::Draft;

/// Files that are being read together.
#[derive(Default)]
pub struct Configuration {
    sources: Sources,
    diagnostics: Diagnostics,
    draft: Draft,
    node: Option<String>,
}

impl Configuration {
    /// Begins with no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file. One that can't be read is an error among the others.
    pub fn add_file(&mut self, path: impl AsRef<Path>) {
        match self.sources.read(path.as_ref()) {
            Ok(file) => self.read(file),
            Err(error) => self.diagnostics.push(Diagnostic::error(error.to_string())),
        }
    }

    /// Reads a text as if it were a file of that name.
    pub fn add_text(&mut self, name: impl Into<String>, text: impl Into<String>) {
        let file = self.sources.add(name, text);
        self.read(file);
    }

    /// Names the node, whatever the files say.
    pub fn set_node(&mut self, name: impl Into<String>) {
        self.node = Some(name.into());
    }

    /// Puts together what was read.
    pub fn load(mut self) -> Loaded {
        let builder = resolve::resolve(self.draft, self.node, &mut self.sources, &mut self.diagnostics);
        self.diagnostics.sort();
        Loaded {
            // What has errors is not started, not even the sound part of it.
            builder: builder.filter(|_| self.diagnostics.errors() == 0),
            sources: self.sources,
            diagnostics: self.diagnostics,
        }
    }

    fn read(&mut self, file: FileId) {
        let native = Path::new(self.sources.name(file))
            .extension()
            .is_some_and(|end| end == "toml");
        if native || cfg!(not(feature = "import")) {
            toml::read(&self.sources, file, &mut self.draft, &mut self.diagnostics);
        } else {
            #[cfg(feature = "import")]
            crate::import::read(&self.sources, file, &mut self.draft, &mut self.diagnostics);
        }
    }
}

/// What files make, and what is wrong with them.
pub struct Loaded {
    sources: Sources,
    diagnostics: Diagnostics,
    builder: Option<StackBuilder>,
}

impl Loaded {
    /// Everything that was found, errors and warnings, in the order of the files.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The files, to find out places.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Everything that was found, for a person, each with file, line, column and excerpt.
    pub fn render(&self, color: bool) -> String {
        self.diagnostics.render(&self.sources, color)
    }

    /// The stack, to add to it what no file can say.
    ///
    /// # Errors
    /// [`Invalid`] if anything is an error.
    pub fn into_builder(self) -> Result<StackBuilder, Invalid> {
        let errors = self.diagnostics.errors();
        self.builder.ok_or(Invalid { errors })
    }

    /// The stack.
    ///
    /// # Errors
    /// [`Invalid`] if anything is an error.
    pub fn into_stack(self) -> Result<Stack, Invalid> {
        let stack = self.into_builder()?.build();
        // Names were checked with their places, before.
        stack.map_err(|_| Invalid { errors: 1 })
    }
}

/// The configuration has errors; [`Loaded::render`] shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {errors} error{}", if *.errors == 1 { "" } else { "s" })]
pub struct Invalid {
    /// How many.
    pub errors: usize,
}
