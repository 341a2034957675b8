//! Why parts don't make a stack.

use lb_proxy::balance::BackendId;

/// Why parts don't make a stack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two parts of one kind share a name.
    #[error("two of kind {kind} are called {name}: give each its own name")]
    DuplicateName {
        /// `instance`, `instance or sync group`, `scripts of sync group`, `check`, `check of upstream`, `proxy` or
        /// `upstream`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A sync group names a virtual router that is not there.
    #[error("sync group {group} names instance {member}, which does not exist")]
    UnknownMember {
        /// The group's name.
        group: String,
        /// The member's name.
        member: String,
    },
    /// A sync group names nothing.
    #[error("sync group {group} has no members: name the instances that it holds together")]
    EmptyGroup {
        /// The group's name.
        group: String,
    },
    /// A sync group names a virtual router twice.
    #[error("sync group {group} names instance {member} twice: name it once")]
    TwiceInGroup {
        /// The group's name.
        group: String,
        /// The member's name.
        member: String,
    },
    /// Two sync groups name the same virtual router.
    #[error("instance {member} is in sync groups {} and {}: put all members into one", .groups[0], .groups[1])]
    InTwoGroups {
        /// The member's name.
        member: String,
        /// The groups' names.
        groups: [String; 2],
    },
    /// A check is tracked that is not there.
    #[error("{by} tracks check {check}, which does not exist")]
    UnknownCheck {
        /// The check's name.
        check: String,
        /// Who tracks it.
        by: String,
    },
    /// Scripts are for a sync group that is not there.
    #[error("notify scripts are for sync group {group}, which does not exist")]
    UnknownGroup {
        /// The group's name.
        group: String,
    },
    /// A check is for an upstream that is not there.
    #[error("a check is for upstream {upstream}, which does not exist")]
    UnknownUpstream {
        /// The upstream's name.
        upstream: String,
    },
    /// A check is for a backend that is not there.
    #[error("a check is for backend {backend}, which upstream {upstream} does not have")]
    UnknownBackend {
        /// The upstream's name.
        upstream: String,
        /// The backend's name.
        backend: BackendId,
    },
}
