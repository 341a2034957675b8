//! What is told, in keepalived's words.

use std::sync::Arc;

use vrrp_core::State;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Master,
    Backup,
    Fault,
    Stop,
    LowerReceived,
    MasterPriority,
    BackupPriority,
}

impl What {
    /// What it is to enter a state.
    pub(super) fn entered(state: State) -> Self {
        match state {
            State::Master => Self::Master,
            State::Backup => Self::Backup,
            State::Fault => Self::Fault,
            // Nothing enters it but by a shutdown.
            State::Initialize => Self::Stop,
        }
    }

    /// Whether it is a state, and so makes older states uninteresting.
    pub(super) fn is_state(self) -> bool {
        matches!(self, Self::Master | Self::Backup | Self::Fault | Self::Stop)
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::LowerReceived => "MASTER_RX_LOWER_PRI",
            Self::MasterPriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

/// Whom it happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Instance,
    Group,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Instance => "INSTANCE",
            Self::Group => "GROUP",
        }
    }
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    pub(super) what: What,
    /// 0 for a group.
    pub(super) priority: u8,
}

impl Message {
    /// The line for a FIFO, with its newline.
    pub(super) fn line(&self) -> String {
        let [kind, name, what, priority] = self.args();
        format!("{kind} \"{name}\" {what} {priority}\n")
    }

    /// The arguments of a script.
    pub(super) fn args(&self) -> [String; 4] {
        [
            self.kind.word().to_owned(),
            self.name.to_string(),
            self.what.word().to_owned(),
            self.priority.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_keepalived() {
        let line = |kind, what, priority| {
            let name = Arc::from("VI_1");
            Message {
                kind,
                name,
                what,
                priority,
            }
            .line()
        };
        assert_eq!(
            line(Kind::Instance, What::Master, 100),
            "INSTANCE \"VI_1\" MASTER 100\n"
        );
        assert_eq!(line(Kind::Group, What::Backup, 0), "GROUP \"VI_1\" BACKUP 0\n");
        assert_eq!(
            line(Kind::Instance, What::LowerReceived, 254),
            "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 254\n"
        );
        assert_eq!(
            line(Kind::Instance, What::BackupPriority, 80),
            "INSTANCE \"VI_1\" BACKUP_PRIORITY 80\n"
        );
    }
}
