//! One script at a time, and the latest state next. Pure.

use super::message::Message;

/// What has to be told to the scripts of one virtual router or group, while one of them may run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    running: bool,
    state: Option<Message>,
    lower_received: Option<Message>,
}

impl Turns {
    /// Takes something to tell. A state takes the place of what has not been told yet.
    pub(super) fn push(&mut self, message: Message) {
        if message.what.is_state() {
            self.state = Some(message);
            self.lower_received = None;
        } else {
            self.lower_received = Some(message);
        }
    }

    /// Gives what is told next, unless a script runs. The caller says when it has ended.
    pub(super) fn begin(&mut self) -> Option<Message> {
        if self.running {
            return None;
        }
        let next = self.state.take().or_else(|| self.lower_received.take());
        self.running = next.is_some();
        next
    }

    /// The scripts that were begun have ended.
    pub(super) fn end(&mut self) {
        self.running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Kind, What};
    use super::*;

    #[test]
    fn one_is_told_at_a_time_and_the_latest_state_wins() {
        let mut turns = Turns::default();
        turns.push(message(What::Backup));
        assert_eq!(turns.begin(), Some(message(What::Backup)));
        turns.push(message(What::Master));
        turns.push(message(What::Fault));
        turns.push(message(What::Backup));
        assert_eq!(turns.begin(), None);
        turns.end();
        assert_eq!(turns.begin(), Some(message(What::Backup)));
        turns.end();
        assert_eq!(turns.begin(), None);
    }

    #[test]
    fn an_advert_heard_takes_no_states_place_and_is_told_once() {
        let mut turns = Turns::default();
        turns.push(message(What::Backup));
        turns.begin();
        turns.push(message(What::Master));
        turns.push(message(What::LowerReceived));
        turns.push(message(What::LowerReceived));
        turns.end();
        assert_eq!(turns.begin(), Some(message(What::Master)));
        turns.end();
        assert_eq!(turns.begin(), Some(message(What::LowerReceived)));
        turns.end();
        assert_eq!(turns.begin(), None);
    }

    #[test]
    fn an_advert_heard_is_not_told_after_a_newer_state() {
        let mut turns = Turns::default();
        turns.push(message(What::Master));
        turns.begin();
        turns.push(message(What::LowerReceived));
        turns.push(message(What::Stop));
        turns.end();
        assert_eq!(turns.begin(), Some(message(What::Stop)));
        turns.end();
        assert_eq!(turns.begin(), None);
    }

    fn message(what: What) -> Message {
        Message {
            kind: Kind::Instance,
            name: "VI_1".into(),
            what,
            priority: 100,
        }
    }
}
