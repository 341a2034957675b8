//! The user that a script runs as.

use alloc::string::String;
use core::fmt;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid};

/// A user and a group, by number; keepalived's `user` and `script_user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Takes a user and a group by number. They need not be in the system's lists.
    pub const fn new(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }

    /// Looks a user up by name, and its group too, which is the user's own if none is given.
    ///
    /// # Errors
    ///
    /// [`UserError`] if there is no such user or group.
    pub fn named(user: &str, group: Option<&str>) -> Result<Self, UserError> {
        let failed = |errno: Errno| UserError::Lookup { errno: errno as i32 };
        let found = nix::unistd::User::from_name(user)
            .map_err(failed)?
            .ok_or_else(|| UserError::NoUser { name: user.into() })?;
        let gid = match group {
            None => found.gid,
            Some(name) => {
                let group = Group::from_name(name).map_err(failed)?;
                group.ok_or_else(|| UserError::NoGroup { name: name.into() })?.gid
            }
        };
        Ok(Self::new(found.uid.as_raw(), gid.as_raw()))
    }

    /// The number of the user.
    pub const fn uid(self) -> u32 {
        self.uid
    }

    /// The number of the group.
    pub const fn gid(self) -> u32 {
        self.gid
    }

    /// Whether we run as this user and group anyway, so that nothing has to change.
    pub(super) fn is_ours(self) -> bool {
        Uid::effective().as_raw() == self.uid && Gid::effective().as_raw() == self.gid
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Why a user is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// There is no such user.
    #[error("there is no user {name} on this host")]
    NoUser {
        /// The name given.
        name: String,
    },
    /// There is no such group.
    #[error("there is no group {name} on this host")]
    NoGroup {
        /// The name given.
        name: String,
    },
    /// The system's lists can't be read.
    #[error("users can't be looked up: OS error {errno}")]
    Lookup {
        /// The error number of the operating system.
        errno: i32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_name() {
        assert_eq!(User::named("root", None), Ok(User::new(0, 0)));
        assert_eq!(User::named("root", Some("root")), Ok(User::new(0, 0)));
    }

    #[test]
    fn unknown_names_are_told() {
        let name = String::from("no-such-name");
        assert_eq!(
            User::named(&name, None),
            Err(UserError::NoUser { name: name.clone() })
        );
        assert_eq!(User::named("root", Some(&name)), Err(UserError::NoGroup { name }));
    }
}
